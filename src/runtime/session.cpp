#include "runtime/session.h"

#include <fcntl.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/log.h"
#include "base/timings.h"
#include "runtime/templates.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;
namespace {

// For the last look at the host volumes, where the VM's end has taken all of its time.
constexpr auto kFinishLimit = 500ms;

}  // namespace

Session::Session(const asio::any_io_executor& executor, SessionEvents events)
    : executor_(executor), events_(std::move(events)), finished_(executor) {}

awaitable<void> Session::start(const SandboxPlan& plan) {
    options_ = plan.options;
    accelerator_ = plan.accelerator;
    sandbox_.thin = std::make_unique<ThinImages>(plan.options, thin_events());
    co_await start_sandbox(executor_, plan, guest_events(), sandbox_);
    processes_ = std::make_unique<Processes>(*sandbox_.guest, process_events());
    const std::filesystem::path& workdir = plan.options.workdir;
    if (has_host_volume(plan.deployment.volumes))
        share_ = std::make_unique<ShareSync>(executor_, workdir / kVolumesFolder, workdir, sandbox_.user);
    running_ = true;
    watch_storage(plan);
}

void Session::watch_storage(const SandboxPlan& plan) {
    const uint64_t limit =
        plan.options.storage_limit_bytes.value_or(default_storage_limit(plan.deployment.volumes, plan.options.storage_bytes));
    WatchedStorage storage{.disks = std::move(sandbox_.disks), .volumes = {}, .qemu = sandbox_.guest->pid(), .limit = limit};
    if (share_) storage.volumes = base::open_file(plan.options.workdir / kVolumesFolder, O_RDONLY | O_DIRECTORY);
    storage_ = std::make_unique<StorageWatch>(executor_, std::move(storage), [this](const std::string& reason) {
        if (running_) sandbox_.guest->kill(reason);
    });
}

GuestEvents Session::guest_events() {
    GuestEvents events;
    events.output = [this](const agent::Output& output) {
        if (processes_) processes_->on_output(output);
    };
    events.exited = [this](const agent::Exited& exited) {
        if (processes_) processes_->on_exited(exited);
    };
    events.input_taken = [this](uint64_t process, uint32_t bytes) {
        if (processes_) processes_->on_input_taken(process, bytes);
    };
    events.living = [this](bool any) {
        if (share_) share_->set_living(any);
    };
    events.console = events_.console;
    events.died = [this](const std::string& reason) {
        running_ = false;
        if (share_) share_->set_living(false);
        storage_.reset();  // the root's disk goes with the VM
        if (processes_) processes_->on_death(reason);
        if (events_.died) events_.died(reason);
    };
    return events;
}

ProcessEvents Session::process_events() {
    ProcessEvents events;
    events.output = events_.output;
    events.ended = after_sync(events_.ended);
    return events;
}

// They come from the threads that fetch.
ThinEvents Session::thin_events() {
    ThinEvents events;
    events.notice = [this](const std::string& text) {
        asio::post(executor_, [this, text] {
            spdlog::warn("{}", text);
            if (processes_) processes_->note_all(text);
        });
    };
    events.failed = [this](const std::string& reason) {
        asio::post(executor_, [this, reason] {
            if (sandbox_.guest) sandbox_.guest->kill(reason);
        });
    };
    return events;
}

std::function<void(ProcessEnd)> Session::after_sync(std::function<void(ProcessEnd)> ended) {
    return [this, ended = std::move(ended)](ProcessEnd process) {
        base::timings().mark("first command ended");
        log_timings(sandbox_);
        finishing_++;
        asio::co_spawn(executor_, finish(std::move(process), ended), asio::detached);
    };
}

// What the process left in the host volumes is visible on the host before its end is reported.
awaitable<void> Session::finish(ProcessEnd process, std::function<void(ProcessEnd)> ended) {
    co_await release_share();
    ended(std::move(process));
    if (--finishing_ == 0) finished_.notify();
}

// Takes over what children in the background wrote last: no process has to end with the VM.
awaitable<void> Session::hand_over_share() {
    co_await share_->vm_ended();
    if (--finishing_ == 0) finished_.notify();
}

awaitable<void> Session::release_share() {
    if (share_) co_await share_->process_ended();
}

awaitable<uint64_t> Session::start_process(ProcessSpec spec) {
    if (spec.events) spec.events->ended = after_sync(std::move(spec.events->ended));
    if (share_) co_await share_->process_starts();
    try {
        co_return co_await processes_->start(std::move(spec));
    } catch (...) {
        asio::co_spawn(executor_, release_share(), asio::detached);
        throw;
    }
}

awaitable<void> Session::kill(uint64_t pid, int signal) {
    return processes_->kill(pid, signal);
}

void Session::taken(uint64_t pid, agent::Stream stream, size_t bytes) {
    if (processes_) processes_->taken(pid, stream, bytes);
}

void Session::input(uint64_t pid, std::string_view data, bool end) {
    if (processes_) processes_->input(pid, data, end);
}

void Session::resize(uint64_t pid, const agent::Terminal& terminal) {
    if (processes_) processes_->resize(pid, terminal);
}

void Session::make_template() {
    if (!sandbox_.restored)
        asio::co_spawn(executor_, try_make_template(executor_, options_, accelerator_, TemplateUrgency::background), asio::detached);
}

awaitable<void> Session::stop(std::chrono::milliseconds grace, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit + kFinishLimit;  // a VM that ends soon leaves the volumes more time
    if (running_) {
        co_await stop_sandbox(sandbox_, grace, limit);
    } else {
        co_await end();
    }
    storage_.reset();
    if (processes_) processes_->on_death({});
    if (share_) {
        finishing_++;
        asio::co_spawn(executor_, hand_over_share(), asio::detached);
    }
    while (finishing_ > 0 && std::chrono::steady_clock::now() < deadline)
        co_await finished_.wait(deadline - std::chrono::steady_clock::now());
}

awaitable<void> Session::end() {
    running_ = false;
    storage_.reset();
    if (sandbox_.guest) co_await sandbox_.guest->end();
}

}  // namespace runtime
