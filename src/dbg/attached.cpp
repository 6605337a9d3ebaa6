#include "dbg/attached.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "dbg/write_out.h"

namespace dbg {
namespace asio = boost::asio;
namespace {

constexpr size_t kLongestInputError = 4 << 10;

// Owns what it uses, since it may outlive the program that it feeds. That the VM has ended is told by the output's end.
asio::awaitable<void> feed(std::shared_ptr<StandardInput> input, std::shared_ptr<debug::Process> process) {
    for (;;) {
        std::string_view bytes;
        try {
            bytes = co_await input->read();
        } catch (const base::SystemError& e) {
            write_out(STDERR_FILENO, "error: " + base::printable(e.what(), kLongestInputError) + "\n");
        }
        if (bytes.empty()) break;
        co_await process->write(bytes);
    }
    process->close_input();
}

}  // namespace

Attached::~Attached() {
    if (input_) input_->stop();
}

asio::awaitable<int> Attached::run(std::vector<debug::Run> choices) {
    terminal_ = choices.front().has_terminal();
    const bool feeds = terminal_ || choices.front().input();
    co_await start(std::move(choices));
    if (terminal_) raw_.emplace();
    for (const int signal : {SIGWINCH, SIGCONT, SIGUSR1, SIGUSR2})
        signals_.add(signal);
    pass_signals();
    input_ = std::make_shared<StandardInput>(io_.get_executor());
    if (feeds) asio::co_spawn(io_, feed(input_, process_), [](const std::exception_ptr&) {});
    StandardOutput out(io_.get_executor(), STDOUT_FILENO);
    StandardOutput err(io_.get_executor(), STDERR_FILENO);
    while (const auto output = co_await process_->next())
        co_await (output->stream() == debug::STDERR ? err : out).write(output->data());
    input_->stop();
    signals_.cancel();
    restore_terminal();
    co_return std::exchange(process_, nullptr)->exit_code();
}

asio::awaitable<void> Attached::start(std::vector<debug::Run> choices) {
    for (size_t i = 0;; ++i) {
        if (terminal_) {
            const TerminalSize size = terminal_size();
            choices[i].mutable_terminal()->set_rows(size.rows);
            choices[i].mutable_terminal()->set_columns(size.columns);
        }
        try {
            process_ = co_await debug::Process::start(io_.get_executor(), socket_, choices[i]);
            co_return;
        } catch (const debug::OperationError& e) {
            if (e.code() != debug::Error::NOT_FOUND || i + 1 == choices.size()) throw;
        }
    }
}

bool Attached::take_signal(int signal) {
    if (!process_ || terminal_ || (signal != SIGINT && signal != SIGQUIT)) return false;
    process_->signal(signal == SIGINT ? SIGINT : SIGKILL);
    return true;
}

void Attached::pass_signals() {
    signals_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code error, int signal) {
        if (error || alive.expired() || !process_) return;
        if (signal == SIGUSR1 || signal == SIGUSR2) {
            process_->signal(signal);
        } else if (terminal_) {
            if (signal == SIGCONT && raw_) raw_->apply();
            const TerminalSize size = terminal_size();
            process_->resize(size.rows, size.columns);
        }
        pass_signals();
    });
}

std::vector<std::string> passed_environment(const std::vector<std::string>& environment, bool terminal) {
    std::vector<std::string> wanted;
    if (terminal) wanted = {"TERM", "COLORTERM", "LANG"};
    wanted.insert(wanted.end(), environment.begin(), environment.end());
    std::vector<std::string> result;
    for (const std::string& variable : wanted) {
        if (variable.find('=') != std::string::npos) {
            result.push_back(variable);
        } else if (const char* value = std::getenv(variable.c_str())) {
            result.push_back(variable + "=" + value);
        }
    }
    return result;
}

}  // namespace dbg
