#include "dbg/session.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/event.h"
#include "base/fd.h"
#include "base/untrusted_text.h"
#include "dbg/line_reader.h"
#include "dbg/words.h"
#include "dbg/workdir.h"
#include "exeunit/client.h"
#include "exeunit/launch.h"

namespace dbg {
namespace asio = boost::asio;
namespace api = exeunit::api;
using namespace std::chrono_literals;
namespace {

constexpr auto kShutdownDeadline = 10s;
constexpr size_t kShownLog = 16 << 10;
constexpr size_t kLongestMessage = 16 << 10;
constexpr size_t kMaxDeployOutput = 1 << 20;

// Writes all of it, even where another program has made the descriptor non-blocking. Throws SystemError.
void write_out(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n >= 0) {
            text.remove_prefix(static_cast<size_t>(n));
        } else if (errno == EAGAIN) {
            pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
            (void)::poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            base::throw_errno("cannot write the output");
        }
    }
}

// The runtime's stderr: kept in memory, and shown where it explains a failure.
class Log {
public:
    int fd() const { return file_.get(); }

    void show() const {
        const off_t size = ::lseek(file_.get(), 0, SEEK_END);
        const off_t from = std::max<off_t>(size - static_cast<off_t>(kShownLog), 0);
        std::string text(static_cast<size_t>(size - from), '\0');
        text.resize(base::pread_full(file_.get(), std::as_writable_bytes(std::span(text)), static_cast<uint64_t>(from), "the log"));
        write_out(STDERR_FILENO, text);
    }

private:
    base::UniqueFd file_ = base::memory_file("log");
};

class Session {
public:
    explicit Session(const Options& options)
        : options_(options),
          shell_(options.mode == ExecMode::shell ? options.shell : ""),
          interactive_(!options.command && ::isatty(STDIN_FILENO)) {
        for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP})
            signals_.add(signal);
    }

    int run() {
        wait_for_signal();
        asio::co_spawn(io_, work(), [this](std::exception_ptr error, int code) {
            if (error) failure_ = std::move(error);
            end(code);
        });
        io_.run();
        if (failure_) std::rethrow_exception(failure_);
        return exit_code_;
    }

private:
    asio::awaitable<int> work() {
        if (options_.deploy) co_await deploy();
        co_await start();
        std::exception_ptr refused;
        try {
            exit_code_ = options_.command ? co_await run_line(*options_.command) : co_await run_lines();
        } catch (const base::Error&) {
            refused = std::current_exception();
        }
        co_await shut_down();
        if (refused) std::rethrow_exception(refused);
        co_return exit_code_;
    }

    exeunit::Launched launch(const std::vector<std::string>& argv) {
        return exeunit::launch({.argv = argv, .working_directory = options_.workdir, .stderr_fd = log_.fd(), .own_process_group = true});
    }

    asio::awaitable<void> deploy() {
        exeunit::Launched child = launch(deploy_argv(options_));
        child.input.reset();
        asio::posix::stream_descriptor output(io_, child.output.release());
        std::string json;
        auto buffer = asio::dynamic_buffer(json, kMaxDeployOutput);
        boost::system::error_code end_of_file;
        co_await asio::async_read(output, buffer, asio::redirect_error(asio::use_awaitable, end_of_file));
        const auto code = exeunit::wait_for(child.child, 5s);
        if (code != 0) {
            log_.show();
            throw base::Error("deploy failed" + (code ? " with exit code " + std::to_string(*code) : std::string()));
        }
        if (interactive_) show_volumes(json);
    }

    void show_volumes(const std::string& json) {
        const auto deployed = nlohmann::json::parse(json, nullptr, false);
        if (!deployed.is_object() || !deployed.contains("vols")) return;
        for (const auto& volume : deployed["vols"]) {
            const auto folder = options_.workdir / volume.value("name", "");
            write_out(STDERR_FILENO, "volume " + volume.value("path", "") + ": " + folder.string() + "\n");
        }
    }

    asio::awaitable<void> start() {
        runtime_ = launch(start_argv(options_));
        exeunit::Events events;
        events.closed = [this](const std::string& reason) { runtime_ended(reason); };
        client_ =
            std::make_unique<exeunit::Client>(io_.get_executor(), std::move(runtime_.input), std::move(runtime_.output), std::move(events));
        try {
            co_await client_->hello(options_.protocol);
        } catch (const exeunit::ResponseError& e) {
            log_.show();
            throw base::Error(std::string("the VM did not start: ") + e.what());
        }
    }

    asio::awaitable<int> run_lines() {
        LineReader lines(io_.get_executor());
        int code = 0;
        for (;;) {
            prompt();
            std::optional<std::string> line;
            base::Event arrived(io_.get_executor());
            bool read = false;
            lines.next([&](std::optional<std::string> next) {
                line = std::move(next);
                read = true;
                arrived.notify();
            });
            while (!read)
                co_await arrived.wait();
            prompting_ = false;
            if (!line || *line == "exit") break;
            if (line->find_first_not_of(" \t") == std::string::npos) continue;
            try {
                code = co_await run_line(*line);
                if (interactive_ && code != 0) write_out(STDERR_FILENO, "exit code " + std::to_string(code) + "\n");
            } catch (const base::Error& e) {  // the line's own error; the runtime's end stops the loop instead
                write_out(STDERR_FILENO, "error: " + base::printable(e.what(), kLongestMessage) + "\n");
                code = 1;
            }
        }
        co_return code;
    }

    void prompt() {
        if (!interactive_) return;
        prompting_ = true;
        write_out(STDERR_FILENO, (shell_.empty() ? "exec" : shell_) + "> ");
    }

    // Runs a line in the current mode. Where the image lacks the shell it runs sh, and where that is missing too, the line is split here.
    asio::awaitable<int> run_line(std::string line) {
        for (;;) {
            const api::RunProcess process = process_for(line);
            if (process.args().empty()) co_return 0;
            try {
                co_return co_await run_process(process);
            } catch (const exeunit::ResponseError& e) {
                if (shell_.empty() || e.code() != api::Error::NOT_FOUND) throw;
            }
            shell_ = shell_ == "sh" ? "" : "sh";
        }
    }

    api::RunProcess process_for(const std::string& line) const {
        const std::vector<std::string> words = shell_.empty() ? split_words(line) : std::vector<std::string>{"/bin/" + shell_, "-c", line};
        api::RunProcess process;
        for (const std::string& word : words)
            process.add_args(word);
        if (words.empty()) return process;
        process.set_bin(words[0]);
        process.set_args(0, words[0].substr(words[0].rfind('/') + 1));
        return process;
    }

    asio::awaitable<int> run_process(api::RunProcess process) {
        base::Event ended(io_.get_executor());
        std::optional<int> code;
        const auto status = [this, &ended, &code](const api::ProcessStatus& s) {
            take(s);
            if (s.running()) return;
            code = s.return_code();
            ended.notify();
        };
        const Foreground foreground(*this);
        pid_ = co_await client_->run(std::move(process), status);
        send_signal();
        while (!code)
            co_await ended.wait();
        co_return code.value_or(0);
    }

    void take(const api::ProcessStatus& status) {
        if (io_.stopped()) return;
        try {
            write_out(STDOUT_FILENO, status.stdout());
            write_out(STDERR_FILENO, status.stderr());
        } catch (const base::SystemError& e) {
            if (e.error_number() != EPIPE) failure_ = std::current_exception();
            end(128 + SIGPIPE);  // like any program whose reader has gone
        }
    }

    asio::awaitable<void> shut_down() {
        ending_ = true;
        asio::steady_timer deadline(io_, kShutdownDeadline);
        deadline.async_wait([this](boost::system::error_code cancelled) {
            if (!cancelled) end(exit_code_);
        });
        try {
            co_await client_->shutdown();
            (void)exeunit::wait_for(runtime_.child, 5s);
        } catch (const base::Error& e) {
            write_out(STDERR_FILENO, "the VM did not end in order: " + base::printable(e.what(), kLongestMessage) + "\n");
        }
    }

    void runtime_ended(const std::string& reason) {
        if (ending_ || io_.stopped()) return;
        const auto code = exeunit::wait_for(runtime_.child, 1s);
        log_.show();
        const std::string text = "the runtime has ended" + (code ? " with exit code " + std::to_string(*code) : ": " + reason);
        failure_ = std::make_exception_ptr(base::Error(text));
        end(1);
    }

    // Stops the loop; the VM ends with this object at the latest.
    void end(int code) {
        exit_code_ = code;
        io_.stop();
    }

    void wait_for_signal() {
        signals_.async_wait([this](boost::system::error_code error, int signal) {
            if (error) return;
            on_signal(signal);
            wait_for_signal();
        });
    }

    void on_signal(int signal) {
        const bool from_keyboard = signal == SIGINT || signal == SIGQUIT;
        if (from_keyboard && running_) {
            unsent_signal_ = signal == SIGINT ? SIGINT : SIGKILL;
            send_signal();
        } else if (from_keyboard && prompting_) {
            write_out(STDERR_FILENO, "\n");
            prompt();
        } else {
            end(128 + signal);
        }
    }

    void send_signal() {
        if (pid_ == 0 || unsent_signal_ == 0) return;
        // An error says that the process has just ended.
        asio::co_spawn(io_, client_->kill(pid_, std::exchange(unsent_signal_, 0)), [](const std::exception_ptr&) {});
    }

    // While it lives, the keyboard's signals go to the command.
    struct Foreground {
        explicit Foreground(Session& session) : session_(session) {
            session_.running_ = true;
            session_.pid_ = 0;
            session_.unsent_signal_ = 0;
        }
        ~Foreground() { session_.running_ = false; }
        Foreground(const Foreground&) = delete;
        Foreground& operator=(const Foreground&) = delete;
        Session& session_;
    };

    const Options& options_;
    asio::io_context io_;
    asio::signal_set signals_{io_};
    Log log_;
    exeunit::Launched runtime_;
    std::unique_ptr<exeunit::Client> client_;
    std::string shell_;       // empty: lines are split here
    bool interactive_;        // lines are typed at a terminal
    bool prompting_ = false;  // the prompt is shown and no line has come yet
    bool running_ = false;    // a command was asked for and has not ended
    uint64_t pid_ = 0;        // of that command; 0 until the runtime has sent it
    int unsent_signal_ = 0;   // for that command
    bool ending_ = false;     // the runtime may close its pipe now
    std::exception_ptr failure_;
    int exit_code_ = 0;
};

}  // namespace

int run_session(const Options& options) {
    (void)std::signal(SIGPIPE, SIG_IGN);
    const Workdir workdir(options.workdir);
    Options with_workdir = options;
    with_workdir.workdir = workdir.path();
    return Session(with_workdir).run();
}

}  // namespace dbg
