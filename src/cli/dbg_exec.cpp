#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <exception>
#include <memory>

#include "base/error.h"
#include "cli/dbg_commands.h"
#include "dbg/attached.h"
#include "dbg/debug_run.h"
#include "dbg/options.h"
#include "dbg/vm_folder.h"

namespace cli {
namespace {
namespace asio = boost::asio;

// The program takes its signals; any other ends us, and with us the program.
class Execution {
public:
    explicit Execution(const dbg::Vm& vm) : attached_(io_, vm.socket()) {
        for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP})
            signals_.add(signal);
    }

    int run(debug::Run run) {
        wait_for_signal();
        std::vector<debug::Run> choices{std::move(run)};
        asio::co_spawn(io_, attached_.run(std::move(choices)), [this](std::exception_ptr error, int code) {
            error_ = std::move(error);
            end(code);
        });
        io_.run();
        attached_.restore_terminal();
        if (error_) std::rethrow_exception(error_);
        return code_;
    }

private:
    void end(int code) {
        code_ = code;
        io_.stop();
    }

    void wait_for_signal() {
        signals_.async_wait([this](boost::system::error_code error, int signal) {
            if (error) return;
            if (!attached_.take_signal(signal)) end(128 + signal);
            wait_for_signal();
        });
    }

    asio::io_context io_{1};
    asio::signal_set signals_{io_};
    dbg::Attached attached_;
    std::exception_ptr error_;
    int code_ = 0;
};

int execute(const std::string& name, const dbg::Options& options, const std::vector<std::string>& words) {
    if (words.empty()) throw CLI::RequiredError("CMD");
    (void)std::signal(SIGPIPE, SIG_IGN);
    const dbg::Vm vm = dbg::find_vm(dbg::vms_folder(), name);
    const bool terminal = dbg::wants_terminal(options);
    debug::Run run = dbg::debug_run(options, words, terminal);
    // A terminal's keys are for whoever is in its foreground, which we may not be.
    run.set_input(terminal || ::isatty(STDIN_FILENO) == 0);
    try {
        return Execution(vm).run(std::move(run));
    } catch (const base::SystemError& e) {
        if (e.error_number() != EPIPE) throw;
        return 128 + SIGPIPE;  // like any program whose reader has gone
    }
}

}  // namespace

void add_program_options(CLI::App& app, dbg::Options& options) {
    app.add_option("--user", options.user, "Whom it runs as: a name or number, also with :GROUP [the image's user]");
    app.add_option("--cwd", options.work_dir, "Its folder, made if missing [the image's]");
    app.add_option("--env", options.environment, "A variable for it: K=V, or K for our value; repeatable")
        ->take_all()
        ->allow_extra_args(false)
        ->option_text("K[=V]");
    // Not add_flag, which makes false of an option that is not given.
    const auto set_tty = [&options](int64_t given) { options.tty = given > 0; };
    app.add_flag_function("--tty,!--no-tty", set_tty, "Whether it has a terminal [where standard input and output are one]");
}

void add_exec_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("exec", "Runs a program in a running VM, with our standard streams, and returns its exit code");
    command->footer("Example: ya-runtime-dbg exec python sh");
    const auto name = std::make_shared<std::string>();
    const auto options = std::make_shared<dbg::Options>();
    command->add_option("NAME", *name, "The VM")->required()->type_name("VM");
    add_program_options(*command, *options);
    command->prefix_command();  // what follows NAME is the program's, whatever it looks like
    command->callback([&chosen, name, options, command] {
        chosen = [name, options, words = command->remaining()] { return execute(*name, *options, words); };
    });
}

}  // namespace cli
