#include "dbg/session.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/untrusted_text.h"
#include "dbg/outbound_access.h"
#include "dbg/volumes/volume_path.h"
#include "dbg/write_out.h"

namespace dbg {
namespace asio = boost::asio;
using namespace std::chrono_literals;
namespace {

constexpr auto kShutdownDeadline = 10s;
constexpr size_t kLongestMessage = 16 << 10;
constexpr size_t kMaxDeployOutput = 1 << 20;

}  // namespace

Session::Session(const Options& options, std::filesystem::path debug_socket, const std::filesystem::path& log_file)
    : options_(options), debug_socket_(std::move(debug_socket)), log_(log_file), interactive_(is_interactive(options)) {
    for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP})
        signals_.add(signal);
    if (options.outbound.empty()) return;
    // The terminal may be raw, as the shell in the VM wants it.
    const std::string end = ::isatty(STDERR_FILENO) ? "\r\n" : "\n";
    const auto say = [end](const std::string& line) { write_out(STDERR_FILENO, line + end); };
    outbound_ = std::make_unique<outbound::Outbound>(io_.get_executor(), outbound_access(options.outbound), say);
}

int Session::run(const Use& use) {
    wait_for_signal();
    asio::co_spawn(io_, work(use), [this](std::exception_ptr error, int code) {
        if (error) failure_ = std::move(error);
        end(code);
    });
    io_.run();
    write_record();
    if (failure_) std::rethrow_exception(failure_);
    return exit_code_;
}

asio::awaitable<int> Session::work(const Use& use) {
    std::exception_ptr refused;
    const std::vector<std::string> no_more;
    if (options_.script.empty()) {
        if (options_.deploy) co_await deploy(no_more);
        (void)co_await start(no_more, no_more);
    }
    if (interactive_ && options_.greeting) write_out(STDERR_FILENO, options_.greeting());
    try {
        if (!options_.syncs.empty()) co_await begin_sync();
        exit_code_ = co_await use(*this);
    } catch (const base::Error&) {
        refused = std::current_exception();
    }
    hooks_ = {};
    if (up_) co_await shut_down();
    if (refused) std::rethrow_exception(refused);
    co_return exit_code_;
}

asio::awaitable<void> Session::begin_sync() {
    const std::vector<VolumeFolder> volumes = volume_folders(deployed_, options_.workdir);
    std::vector<SyncedFolder> folders;
    folders.reserve(options_.syncs.size());
    for (const SyncOption& sync : options_.syncs)
        folders.push_back({.source = sync.folder, .target = find_volume(volumes, sync.guest)});
    synced_ = std::make_unique<SyncedFolders>(io_.get_executor(), folders, options_.workdir);
    co_await synced_->begin();
}

asio::awaitable<void> Session::begin_outbound() {
    try {
        outbound_->connect(co_await client_->network(outbound::Outbound::network()));
    } catch (const exeunit::ResponseError& e) {
        throw base::Error(std::string("the VM got no network card: ") + e.what());
    }
}

void Session::write_record() const {
    if (options_.record.empty()) return;
    std::string lines;
    for (const std::string& url : outbound_->reached())
        lines.append(url).append("\n");
    base::replace_file(options_.record, lines);
}

exeunit::Launched Session::launch(const std::vector<std::string>& argv) const {
    return exeunit::launch({.argv = argv, .working_directory = options_.workdir, .stderr_fd = log_.fd(), .own_process_group = true});
}

asio::awaitable<void> Session::deploy(std::vector<std::string> runtime_options) {
    Options options = options_;
    options.runtime_arguments.insert(options.runtime_arguments.end(), runtime_options.begin(), runtime_options.end());
    exeunit::Launched child = launch(deploy_argv(options));
    deployed_.clear();
    child.input.reset();
    asio::posix::stream_descriptor output(io_, child.output.release());
    auto buffer = asio::dynamic_buffer(deployed_, kMaxDeployOutput);
    boost::system::error_code end_of_file;
    co_await asio::async_read(output, buffer, asio::redirect_error(asio::use_awaitable, end_of_file));
    const auto code = exeunit::wait_for(child.child, 5s);
    if (code != 0) {
        log_.show();
        throw base::Error("deploy failed" + (code ? " with exit code " + std::to_string(*code) : std::string()));
    }
    if (interactive_) show_volumes();
}

void Session::show_volumes() const {
    for (const VolumeFolder& volume : volume_folders(deployed_, options_.workdir))
        write_out(STDERR_FILENO, "volume " + base::escape(volume.guest) + ": " + volume.host.string() + "\n");
}

asio::awaitable<std::string> Session::start(std::vector<std::string> runtime_options, std::vector<std::string> arguments) {
    Options options = options_;
    options.runtime_arguments.insert(options.runtime_arguments.end(), runtime_options.begin(), runtime_options.end());
    if (outbound_) {
        const std::vector<std::string> card = outbound::Outbound::runtime_options();
        options.runtime_arguments.insert(options.runtime_arguments.end(), card.begin(), card.end());
    }
    options.start_arguments.insert(options.start_arguments.end(), arguments.begin(), arguments.end());
    runtime_ = launch(start_argv(options, debug_socket_));
    ending_ = false;
    start_output_.clear();
    exeunit::Events events;
    events.stray_status = [this](const exeunit::api::ProcessStatus& s) {
        if (start_output_.size() < kMaxDeployOutput) start_output_ += s.stdout();
    };
    events.closed = [this](const std::string& reason) { runtime_ended(reason); };
    client_ =
        std::make_unique<exeunit::Client>(io_.get_executor(), std::move(runtime_.input), std::move(runtime_.output), std::move(events));
    try {
        co_await client_->hello(options_.protocol);
    } catch (const exeunit::ResponseError& e) {
        log_.show();
        throw base::Error(std::string("the VM did not start: ") + e.what());
    }
    up_ = true;
    if (outbound_) co_await begin_outbound();
    co_return start_output_;
}

asio::awaitable<void> Session::shut_down() {
    ending_ = true;
    up_ = false;
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

void Session::runtime_ended(const std::string& reason) {
    if (ending_ || ended()) return;
    const auto code = exeunit::wait_for(runtime_.child, 1s);
    before_end();
    log_.show();
    const std::string text = "the runtime has ended" + (code ? " with exit code " + std::to_string(*code) : ": " + reason);
    fail(std::make_exception_ptr(base::Error(text)), 1);
}

void Session::before_end() {
    if (const auto ending = std::exchange(hooks_, {}).ending) ending();
}

void Session::end(int code) {
    before_end();
    exit_code_ = code;
    io_.stop();
}

void Session::fail(std::exception_ptr error, int code) {
    failure_ = std::move(error);
    end(code);
}

void Session::wait_for_signal() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
        if (error) return;
        const auto take = hooks_.signal;  // a copy, since it may end the session, which drops the hooks
        if (!take || !take(signal)) end(128 + signal);
        wait_for_signal();
    });
}

}  // namespace dbg
