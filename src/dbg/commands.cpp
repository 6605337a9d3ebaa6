#include "dbg/commands.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <cerrno>
#include <csignal>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/event.h"
#include "dbg/words.h"
#include "dbg/write_out.h"

namespace dbg {
namespace asio = boost::asio;
namespace api = exeunit::api;

// While it lives, the keyboard's signals go to the command.
struct Commands::Foreground {
    explicit Foreground(Commands& commands) : commands_(commands) {
        commands_.running_ = true;
        commands_.pid_ = 0;
        commands_.unsent_signal_ = 0;
    }
    ~Foreground() { commands_.running_ = false; }
    Foreground(const Foreground&) = delete;
    Foreground& operator=(const Foreground&) = delete;
    Commands& commands_;
};

Commands::Commands(Session& session)
    : session_(session), shell_(session.options().mode.value_or(ExecMode::shell) == ExecMode::shell ? session.options().shell : "") {}

asio::awaitable<int> Commands::run(std::string line) {
    for (;;) {
        const api::RunProcess process = process_for(line);
        if (process.args().empty()) co_return 0;
        try {
            const exeunit::StatusHandler output = [this](const api::ProcessStatus& s) { take(s); };
            mid_line_ = false;
            co_return co_await run_process(process, output);
        } catch (const exeunit::ResponseError& e) {
            if (shell_.empty() || e.code() != api::Error::NOT_FOUND) throw;
        }
        shell_ = shell_ == "sh" ? "" : "sh";
    }
}

api::RunProcess Commands::process_for(const std::string& line) const {
    const std::vector<std::string> words = shell_.empty() ? split_words(line) : std::vector<std::string>{"/bin/" + shell_, "-c", line};
    api::RunProcess process;
    for (const std::string& word : words)
        process.add_args(word);
    if (words.empty()) return process;
    process.set_bin(words[0]);
    process.set_args(0, words[0].substr(words[0].rfind('/') + 1));
    return process;
}

asio::awaitable<int> Commands::run_process(api::RunProcess process, exeunit::StatusHandler output) {
    base::Event ended(session_.io().get_executor());
    std::optional<int> code;
    const auto status = [&output, &ended, &code](const api::ProcessStatus& s) {
        output(s);
        if (s.running()) return;
        code = s.return_code();
        ended.notify();
    };
    const Foreground foreground(*this);
    pid_ = co_await session_.client().run(std::move(process), status);
    send_signal();
    while (!code)
        co_await ended.wait();
    co_return code.value_or(0);
}

void Commands::take(const api::ProcessStatus& status) {
    if (session_.ended()) return;
    try {
        write_out(STDOUT_FILENO, status.stdout());
        write_out(STDERR_FILENO, status.stderr());
        for (const std::string* text : {&status.stdout(), &status.stderr()}) {
            if (!text->empty()) mid_line_ = text->back() != '\n';
        }
    } catch (const base::SystemError& e) {
        const int code = 128 + SIGPIPE;  // like any program whose reader has gone
        if (e.error_number() == EPIPE) {
            session_.end(code);
        } else {
            session_.fail(std::current_exception(), code);
        }
    }
}

bool Commands::take_signal(int signal) {
    if (!running_ || (signal != SIGINT && signal != SIGQUIT)) return false;
    mid_line_ = true;  // the terminal shows ^C
    send(signal == SIGINT ? SIGINT : SIGKILL);
    return true;
}

void Commands::send(int signal) {
    if (!running_) return;
    unsent_signal_ = signal;
    send_signal();
}

void Commands::send_signal() {
    if (pid_ == 0 || unsent_signal_ == 0) return;
    // An error says that the process has just ended.
    asio::co_spawn(session_.io(), session_.client().kill(pid_, std::exchange(unsent_signal_, 0)), [](const std::exception_ptr&) {});
}

}  // namespace dbg
