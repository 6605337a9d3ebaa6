#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/size.h"
#include "base/temporary_folder.h"
#include "base/timings.h"
#include "cli/common.h"
#include "cli/runtime_thin.h"
#include "runtime/accelerator.h"
#include "runtime/deployment.h"
#include "runtime/make_offer.h"
#include "runtime/options.h"
#include "runtime/report.h"
#include "runtime/run_command.h"
#include "runtime/self_test.h"
#include "runtime/service.h"
#include "runtime/templates.h"
#include "vm/confinement.h"

namespace {

namespace asio = boost::asio;
using runtime::Options;

constexpr const char* kProgram = "ya-runtime-vm";

// The command line as parsed, before it becomes Options.
struct CommandLine {
    Options options;
    double memory_gib = 0.25;
    double storage_gib = 0.25;
    std::optional<double> storage_limit_gib;
    std::vector<std::string> arguments;  // after the sub-command
    std::string accelerator = "auto";
    std::string confinement = "best";
    std::string templates = "on";
    cli::ThinLine thin;
    bool timings = false;
    double test_timeout_s = 10;
    unsigned test_cores = 1;
    double test_memory_gib = 0.5;
    bool report = false;
};

// Refuses what is no number of bytes, such as 0, nan and inf.
std::string check_gib(const std::string& text) {
    try {
        double gib = 0;
        if (!CLI::detail::lexical_cast(text, gib)) return text + " is not a number";
        (void)base::gib_to_bytes(gib);
        return {};
    } catch (const base::Error& e) {
        return e.what();
    }
}

// Like check_gib, with 0 for no limit.
std::string check_limit_gib(const std::string& text) {
    double gib = -1;
    return CLI::detail::lexical_cast(text, gib) && gib == 0 ? std::string() : check_gib(text);
}

// Refuses what is no model's name, such as one with options behind it. QEMU says whether it knows the model.
std::string check_cpu(const std::string& text) {
    constexpr size_t kMaxLength = 64;
    constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const bool valid =
        !text.empty() && text.size() <= kMaxLength && text.front() != '-' && text.find_first_not_of(kAllowed) == std::string::npos;
    return valid ? std::string() : text + " is not the name of a CPU model";
}

void add_options(CLI::App& app, CommandLine& line) {
    Options& options = line.options;
    app.add_option("-w,--workdir", options.workdir, "The activity's folder")->type_name("DIR")->default_str("the current one");
    app.add_option("-t,--task-package", options.images, "A .gvmi image; several are stacked, the first on top")
        ->type_name("FILE")
        ->expected(1, -1);
    app.add_option("--cpu", options.cpu, "The CPU that the VM sees: a model that QEMU knows by this name")
        ->type_name("MODEL")
        ->envname("YA_RUNTIME_VM_CPU")
        ->check(check_cpu)
        ->default_str("host, or max under emulation");
    app.add_option("--cpu-cores", options.cores, "Cores of the VM")->check(CLI::Range(1, 255))->capture_default_str();
    app.add_option("--mem-gib", line.memory_gib, "Memory of the VM in GiB")->check(check_gib)->capture_default_str();
    app.add_option("--storage-gib", line.storage_gib, "Space in GiB for the VM's writes to its root and storage volumes")
        ->check(check_gib)
        ->capture_default_str();
    app.add_option("--storage-limit-gib", line.storage_limit_gib,
                   "End the VM once its root and all its volumes hold more GiB of the host's disk; 0: never")
        ->envname("YA_RUNTIME_VM_STORAGE_LIMIT_GIB")
        ->check(check_limit_gib)
        ->default_str("a twentieth above --storage-gib");
    app.add_option("--volume-override", options.volume_override, "JSON: which paths are volumes, and of what kind")
        ->envname("YA_RUNTIME_VOLUME_OVERRIDE");
    app.add_option("--hostname", options.hostname, "The VM's host name")->envname("YA_RUNTIME_HOSTNAME")->capture_default_str();
    app.add_option("--vpn-endpoint", options.vpn_endpoint, "The peer of eth0: udp://IP:PORT, tcp-connect://IP:PORT or tcp-listen://");
    app.add_option("--inet-endpoint", options.inet_endpoint, "The peer of eth1");
    app.add_option("--pci-device", options.pci_devices, "A PCI device of the host's for the VM, by vfio: BUS:DEV.FN; repeatable")
        ->take_all()
        ->allow_extra_args(false)
        ->delimiter(',')
        ->envname("YA_RUNTIME_VM_PCI_DEVICE");
    app.add_option("--accel", line.accelerator, "kvm, tcg (software emulation), or auto: KVM where it works")
        ->envname("YA_RUNTIME_VM_ACCEL")
        ->check(CLI::IsMember({"auto", "kvm", "tcg"}))
        ->capture_default_str();
    app.add_option("--confinement", line.confinement,
                   "best: confine QEMU as far as the host can; strict: start no VM where a part is missing")
        ->envname("YA_RUNTIME_VM_CONFINEMENT")
        ->check(CLI::IsMember({"best", "strict"}))
        ->capture_default_str();
    app.add_option("--template", line.templates, "on: resume VMs from snapshots, and make missing ones; off: boot every VM")
        ->envname("YA_RUNTIME_VM_TEMPLATE")
        ->check(CLI::IsMember({"on", "off"}))
        ->capture_default_str();
    app.add_option("--counters", options.counters_s, "Report the VM's usage to the supervisor at this interval in seconds")
        ->envname("YA_RUNTIME_VM_COUNTERS")
        ->check(CLI::Range(1, 3600));
    app.add_flag("--states", options.states, "Report to the supervisor when the VM is up, and why it died")
        ->envname("YA_RUNTIME_VM_STATES");
    app.add_flag("--timings", line.timings, "Log where the time of the start went, after the first command");
    app.add_option("--qemu", options.qemu, "The QEMU to run VMs with, 7.2 or newer: a path, or a name in PATH")
        ->type_name("FILE")
        ->envname("YA_RUNTIME_VM_QEMU")
        ->default_str("the runtime's own");
    app.add_option("--cache-dir", options.cache_dir, "The folder for templates and for what was learned about this machine")
        ->type_name("DIR")
        ->default_str("$XDG_CACHE_HOME/gvmkit or $HOME/.cache/gvmkit");
}

void add_test_options(CLI::App& app, CommandLine& line) {
    app.add_option("--test-timeout", line.test_timeout_s, "Time limit of the self-test in seconds")
        ->envname("YA_RUNTIME_VM_TEST_TIMEOUT")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    app.add_flag("--report", line.report, "With test: print a page about this machine for a bug report, without names");
    app.add_option("--test-cpu-cores", line.test_cores, "Cores of the self-test's VM")
        ->envname("YA_RUNTIME_VM_TEST_CPU_CORES")
        ->check(CLI::Range(1, 255))
        ->capture_default_str();
    app.add_option("--test-mem-gib", line.test_memory_gib, "Memory of the self-test's VM in GiB")
        ->envname("YA_RUNTIME_VM_TEST_MEM_GIB")
        ->check(check_gib)
        ->capture_default_str();
}

void finish_options(CommandLine& line) {
    Options& options = line.options;
    options.memory_bytes = base::gib_to_bytes(line.memory_gib);
    options.storage_bytes = base::gib_to_bytes(line.storage_gib);
    if (line.storage_limit_gib)
        options.storage_limit_bytes = *line.storage_limit_gib == 0 ? 0 : base::gib_to_bytes(*line.storage_limit_gib);
    if (options.workdir.empty()) options.workdir = std::filesystem::current_path();
    options.workdir = std::filesystem::absolute(options.workdir);
    if (options.cache_dir.empty()) options.cache_dir = runtime::default_cache_dir();
    options.runtime_files = runtime::default_runtime_files();
    options.templates = line.templates == "on";
    options.strict_confinement = line.confinement == "strict";
    cli::finish_thin_options(line.thin, options);
    if (line.accelerator == "kvm") options.accelerator = runtime::AcceleratorChoice::kvm;
    if (line.accelerator == "tcg") options.accelerator = runtime::AcceleratorChoice::tcg;
}

// Runs work to its end on this thread, to which the VM's life is tied. Returns nothing where the context was stopped first.
template <typename T>
std::optional<T> run_to_end(asio::io_context& context, asio::awaitable<T> work) {
    std::exception_ptr failure;
    std::optional<T> result;
    asio::co_spawn(context, std::move(work), [&](std::exception_ptr error, T value) {
        failure = std::move(error);
        result = std::move(value);
        context.stop();
    });
    context.restart();
    context.run();
    if (failure) std::rethrow_exception(failure);
    return result;
}

asio::awaitable<int> exit_code_of(asio::awaitable<void> work) {
    co_await std::move(work);
    co_return 0;
}

int print_deployment(const Options& options) {
    const std::string answer = runtime::deploy_answer(runtime::deploy(options)) + "\n";
    base::write_all(STDOUT_FILENO, answer, "standard output");
    return 0;
}

// Runs `work`, which starts a VM of the self-test, within the self-test's time limit.
template <typename T>
T run_test(CommandLine line, asio::awaitable<T> (*work)(asio::any_io_executor, Options)) {
    line.options.cores = line.test_cores;
    line.options.memory_bytes = base::gib_to_bytes(line.test_memory_gib);
    const auto limit = std::chrono::duration<double>(line.test_timeout_s);
    asio::io_context context(1);
    asio::steady_timer timer(context, std::chrono::duration_cast<std::chrono::milliseconds>(limit));
    bool late = false;
    timer.async_wait([&](const boost::system::error_code& error) {
        if (error) return;
        late = true;
        context.stop();
    });
    std::optional<T> result = run_to_end(context, work(context.get_executor(), line.options));
    if (late || !result) {
        throw base::Error("the self-test did not end within " + std::to_string(static_cast<int>(line.test_timeout_s)) +
                          " s: the machine is too slow or too busy; give it more with --test-timeout");
    }
    return *std::move(result);
}

int self_test(CommandLine line) {
    (void)run_test(std::move(line), runtime::self_test);
    const std::string gaps = vm::confinement_gaps();
    cli::print_message("confinement", gaps.empty() ? "whole" : "without " + gaps);
    return 0;
}

int report(const CommandLine& line) {
    runtime::SelfTestOutcome outcome;
    const auto begin = std::chrono::steady_clock::now();
    try {
        (void)run_test(line, runtime::self_test);
    } catch (const base::Error& e) {
        outcome.failure = e.what();
    }
    outcome.took = std::chrono::steady_clock::now() - begin;
    base::write_all(STDOUT_FILENO, runtime::report({}, line.options, outcome), "standard output");
    return outcome.failure.empty() ? 0 : 1;
}

int print_offer(CommandLine line) {
    std::string offer;
    if (line.options.pci_devices.empty()) {
        asio::io_context context(1);
        offer = *run_to_end(context, runtime::make_offer(context.get_executor(), line.options));
    } else {  // it runs the self-test
        offer = run_test(std::move(line), runtime::make_offer);
    }
    base::write_all(STDOUT_FILENO, offer + "\n", "standard output");
    return 0;
}

asio::awaitable<runtime::TemplateOutcome> make_template(asio::any_io_executor executor, Options options) {
    const vm::Accelerator accelerator = co_await runtime::choose_accelerator(executor, options, runtime::Purpose::vm);
    co_return co_await runtime::make_template(executor, std::move(options), accelerator, runtime::TemplateUrgency::awaited);
}

int warm_template(const CommandLine& line) {
    if (line.arguments != std::vector<std::string>{"warm"}) throw base::Error("usage: ya-runtime-vm template warm");
    asio::io_context context(1);
    using Outcome = runtime::TemplateOutcome;
    const Outcome outcome = base::with_context("cannot make a template",
                                               [&] { return *run_to_end(context, make_template(context.get_executor(), line.options)); });
    if (outcome == Outcome::refused) throw base::Error("templates of such VMs were tried here in the last 24 hours and did not work");
    const char* message = "the template has been made";
    if (outcome == Outcome::present) message = "there is a template already";
    if (outcome == Outcome::busy) message = "another process is making a template";
    spdlog::info(message);
    return 0;
}

// Takes over a standard descriptor and puts /dev/null in its place, so that no stray print gets into the protocol and no child holds the
// pipe open.
base::UniqueFd take_standard(int fd) {
    base::UniqueFd taken(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!taken) base::throw_errno("standard input or output is closed");
    const base::UniqueFd null_fd = base::open_file("/dev/null", O_RDWR);
    if (::dup2(null_fd.get(), fd) < 0) base::throw_errno("cannot replace a standard descriptor");
    return taken;
}

int serve_supervisor(const CommandLine& line) {
    base::log_to_file(kProgram, line.options.workdir / "logs");
    asio::io_context context(1);
    runtime::Service service(context.get_executor(), line.options, line.arguments);
    base::UniqueFd input = take_standard(STDIN_FILENO);
    base::UniqueFd output = take_standard(STDOUT_FILENO);
    return *run_to_end(context, exit_code_of(service.run(std::move(input), std::move(output))));
}

int run_one_command(CommandLine line, bool workdir_given) {
    std::optional<base::TemporaryFolder> temporary;
    if (!workdir_given) line.options.workdir = temporary.emplace().path();
    asio::io_context context(1);
    std::exception_ptr failure;
    runtime::SandboxPlan plan{.options = line.options, .deployment = runtime::deploy(line.options)};
    runtime::CommandRun command(context.get_executor(), [&](agent::Stream stream, const std::string& data) {
        try {
            base::write_all(stream == agent::STDOUT ? STDOUT_FILENO : STDERR_FILENO, data, "the output");
        } catch (const base::Error&) {  // the reader has gone
            failure = std::current_exception();
            context.stop();
        }
    });
    asio::signal_set signals(context, SIGTERM, SIGINT, SIGHUP);
    std::function<void()> wait_for_signal = [&] {
        signals.async_wait([&](const boost::system::error_code& error, int signal) {
            if (error) return;
            command.interrupt(signal);
            wait_for_signal();
        });
    };
    wait_for_signal();
    plan.accelerator = *run_to_end(context, runtime::choose_accelerator(context.get_executor(), line.options, runtime::Purpose::vm));
    const std::optional<int> code = run_to_end(context, command.run(std::move(plan), std::move(line.arguments)));
    if (failure) std::rethrow_exception(failure);
    return *code;
}

// YA_RUNTIME_VM_LOG is ours alone; the provider's other programs use RUST_LOG.
std::string log_directives() {
    for (const char* name : {"YA_RUNTIME_VM_LOG", "RUST_LOG"}) {
        if (const char* text = std::getenv(name)) return text;
    }
    return "";
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    (void)std::signal(SIGPIPE, SIG_IGN);
    base::log_to_stderr(kProgram, base::log_level(log_directives(), kProgram));
    base::timings().turn_on();

    CommandLine line;
    CLI::App app("Runs .gvmi images in virtual machines for a provider's exe-unit", kProgram);
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // a provider's own settings come last
    cli::describe(app, "ya-runtime-vm --task-package hello.gvmi run -- /bin/echo hello");
    app.require_subcommand(1);
    add_options(app, line);
    cli::add_thin_options(app, line.options, line.thin);
    add_test_options(app, line);
    const auto add_command = [&app, &line](const char* name, const char* description, const char* arguments, const char* words = "") {
        CLI::App* command = app.add_subcommand(name, description)->fallthrough();
        command->add_option("arguments", line.arguments, arguments)->type_name(words);
        return command;
    };
    const CLI::App* deploy_command = add_command("deploy", "Checks the image and makes its volumes", "Ignored");
    CLI::App* start_command = add_command("start", "Starts the VM and serves a supervisor on standard input and output",
                                          "Whether to run the image's entrypoint", "start-entrypoint");
    start_command->add_option("--debug-socket", line.options.debug_socket,
                              "Offer a debug channel at this Unix socket, never on a provider");
    const CLI::App* run_command = add_command("run", "Starts a VM for one command, prints its output and returns its exit code",
                                              "The command; the image's entrypoint where there is none");
    const CLI::App* offer_command = add_command("offer-template", "Prints what a provider can offer, as JSON", "Ignored");
    const CLI::App* test_command = add_command("test", "Boots a VM and reports whether a provider could run VMs here", "Ignored");
    const CLI::App* template_command =
        add_command("template", "Makes the template for VMs with the given cores and memory", "What to do", "warm");
    const CLI::App* cache_command = add_command("cache", "The blocks of thin images that this host keeps", "What to do", "ls|prune|verify");
    return cli::run(app, argc, argv, [&] {
        const bool workdir_given = !line.options.workdir.empty();
        // No other process of this user's looks into ours, and no core file holds what a supervisor and a guest said.
        (void)::prctl(PR_SET_DUMPABLE, 0);
        if (!line.timings && !line.report) base::timings().turn_off();
        base::timings().mark("command line read");
        finish_options(line);
        if (*deploy_command) return print_deployment(line.options);
        if (*start_command) return serve_supervisor(line);
        if (*run_command) return run_one_command(std::move(line), workdir_given);
        if (*test_command) return line.report ? report(line) : self_test(std::move(line));
        if (*offer_command) return print_offer(std::move(line));
        if (*template_command) return warm_template(line);
        if (*cache_command) return cli::run_cache_command(line.options, line.arguments);
        return 0;
    });
}
