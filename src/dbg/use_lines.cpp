#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "dbg/commands.h"
#include "dbg/guest_paths.h"
#include "dbg/input_lines.h"
#include "dbg/uses.h"
#include "dbg/write_out.h"

namespace dbg {
namespace asio = boost::asio;
namespace {

constexpr size_t kLongestLineError = 16 << 10;

class Lines {
public:
    explicit Lines(Session& session)
        : session_(session),
          commands_(session),
          lines_(session.io().get_executor(),
                 [this](const std::string& prefix, LineEditor::Done done) { complete(prefix, std::move(done)); }) {
        session.set_hooks({.signal = [this](int signal) { return take_signal(signal); }, .ending = [this] { lines_.restore(); }});
    }

    asio::awaitable<int> run() {
        int code = 0;
        for (;;) {
            const std::string prompt = (commands_.shell().empty() ? "exec" : commands_.shell()) + "> ";
            const std::optional<std::string> line = co_await lines_.next(prompt);
            if (!line || *line == "exit") break;
            if (line->find_first_not_of(" \t") == std::string::npos) continue;
            try {
                const auto begin = std::chrono::steady_clock::now();
                code = co_await commands_.run(*line);
                const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
                if (session_.interactive()) write_out(STDERR_FILENO, (commands_.mid_line() ? "\n" : "") + exit_line(code, took.count()));
            } catch (const base::Error& e) {  // the line's own error; the runtime's end stops the loop instead
                write_out(STDERR_FILENO, "error: " + base::printable(e.what(), kLongestLineError) + "\n");
                code = 1;
            }
        }
        co_return code;
    }

private:
    bool take_signal(int signal) {
        if (commands_.take_signal(signal)) return true;
        return (signal == SIGINT || signal == SIGQUIT) && lines_.clear();
    }

    void complete(const std::string& prefix, LineEditor::Done done) {
        asio::co_spawn(session_.io(), guest_paths(session_.client(), session_.io().get_executor(), prefix),
                       [done = std::move(done)](const std::exception_ptr&, const std::vector<Candidate>& found) { done(found); });
    }

    Session& session_;
    Commands commands_;
    InputLines lines_;
};

}  // namespace

asio::awaitable<int> use_lines(Session& session) {
    Lines lines(session);
    co_return co_await lines.run();
}

}  // namespace dbg
