#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/event.h"
#include "base/untrusted_text.h"
#include "dbg/commands.h"
#include "dbg/line_reader.h"
#include "dbg/uses.h"
#include "dbg/write_out.h"

namespace dbg {
namespace asio = boost::asio;
namespace {

constexpr size_t kLongestLineError = 16 << 10;

class Lines {
public:
    explicit Lines(Session& session) : session_(session), commands_(session), lines_(session.io().get_executor()) {
        session.set_hooks({.signal = [this](int signal) { return take_signal(signal); }, .ending = {}});
    }

    asio::awaitable<int> run() {
        int code = 0;
        for (;;) {
            const std::optional<std::string> line = co_await next();
            if (!line || *line == "exit") break;
            if (line->find_first_not_of(" \t") == std::string::npos) continue;
            try {
                code = co_await commands_.run(*line);
                if (session_.interactive() && code != 0) write_out(STDERR_FILENO, "exit code " + std::to_string(code) + "\n");
            } catch (const base::Error& e) {  // the line's own error; the runtime's end stops the loop instead
                write_out(STDERR_FILENO, "error: " + base::printable(e.what(), kLongestLineError) + "\n");
                code = 1;
            }
        }
        co_return code;
    }

private:
    asio::awaitable<std::optional<std::string>> next() {
        prompt();
        std::optional<std::string> line;
        base::Event arrived(session_.io().get_executor());
        bool read = false;
        lines_.next([&](std::optional<std::string> next) {
            line = std::move(next);
            read = true;
            arrived.notify();
        });
        while (!read)
            co_await arrived.wait();
        prompting_ = false;
        co_return line;
    }

    void prompt() {
        if (!session_.interactive()) return;
        prompting_ = true;
        write_out(STDERR_FILENO, (commands_.shell().empty() ? "exec" : commands_.shell()) + "> ");
    }

    bool take_signal(int signal) {
        if (commands_.take_signal(signal)) return true;
        if (!prompting_ || (signal != SIGINT && signal != SIGQUIT)) return false;
        write_out(STDERR_FILENO, "\n");
        prompt();
        return true;
    }

    Session& session_;
    Commands commands_;
    LineReader lines_;
    bool prompting_ = false;  // the prompt is shown and no line has come yet
};

}  // namespace

asio::awaitable<int> use_lines(Session& session) {
    Lines lines(session);
    co_return co_await lines.run();
}

}  // namespace dbg
