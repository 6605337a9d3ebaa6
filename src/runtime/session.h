#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/event.h"
#include "runtime/guest.h"
#include "runtime/processes.h"
#include "runtime/sandbox.h"
#include "runtime/volumes/share_sync.h"
#include "runtime/volumes/storage_watch.h"

namespace runtime {

// Called from the io_context's thread; must not throw.
struct SessionEvents {
    // Output of a process. `Session::taken` must follow once the bytes have been delivered.
    std::function<void(uint64_t pid, agent::Stream stream, std::string data)> output;
    // A process has ended, all its output has been delivered, and what it left in the host volumes is visible on the host.
    std::function<void(ProcessEnd end)> ended;
    std::function<void(std::string_view text)> console;   // what the guest's console prints, as plain text; may be empty
    std::function<void(const std::string& reason)> died;  // once, where the VM ends before `stop` or `end`; may be empty
};

// A VM with its processes and host volumes: everything that `start`, `run` and the self-test have in common. It makes host and guest agree
// on the host volumes before a process starts and before its end is reported. Keep it until the io_context has stopped.
class Session {
public:
    Session(const boost::asio::any_io_executor& executor, SessionEvents events);

    // Starts the VM and sets it up; once. Throws base::Error, whose text a requestor understands. The VM may be running then: call `end`.
    boost::asio::awaitable<void> start(const SandboxPlan& plan);

    // Starts a process and returns its pid; `spec.events` are told as those of this session are. Its events come only after the awaiting
    // coroutine has run up to its next suspension. Throws agent::GuestError (no such file…), base::Error where the VM died.
    boost::asio::awaitable<uint64_t> start_process(ProcessSpec spec);

    // See Processes::kill and Processes::taken.
    boost::asio::awaitable<void> kill(uint64_t pid, int signal);
    void taken(uint64_t pid, agent::Stream stream, size_t bytes);
    // See Processes::input and Processes::resize.
    void input(uint64_t pid, std::string_view data, bool end);
    void resize(uint64_t pid, const agent::Terminal& terminal);

    // Makes a template in the background where this VM had to boot, so that the next one resumes. Call it after `start`.
    void make_template();

    // Ends the processes and the VM properly (stop_sandbox), or kills a VM that never came up. Each process that still ran gets an end with
    // code 137. Waits until every end has been reported and the volumes are their owner's, but no longer than `limit` and 500 ms in all.
    boost::asio::awaitable<void> stop(std::chrono::milliseconds grace, std::chrono::milliseconds limit);

    // Kills the VM, if there is one, and waits for its end. May be called while `start` waits, which then fails.
    boost::asio::awaitable<void> end();

    // Bytes that the VM holds of the host's disk (StorageWatch::used); 0 where it does not run.
    uint64_t storage_used() const { return storage_ ? storage_->used() : 0; }

    // Processes that run.
    size_t processes() const { return processes_ ? processes_->running() : 0; }

    // Of a VM that was started.
    GuestChannel& guest() { return *sandbox_.guest; }
    Sandbox& sandbox() { return sandbox_; }

private:
    GuestEvents guest_events();
    ProcessEvents process_events();
    ThinEvents thin_events();
    std::function<void(ProcessEnd)> after_sync(std::function<void(ProcessEnd)> ended);
    boost::asio::awaitable<void> finish(ProcessEnd process, std::function<void(ProcessEnd)> ended);
    boost::asio::awaitable<void> release_share();
    boost::asio::awaitable<void> hand_over_share();
    void watch_storage(const SandboxPlan& plan);

    boost::asio::any_io_executor executor_;
    SessionEvents events_;
    Options options_;  // set by `start`, like accelerator_: a template's basis
    vm::Accelerator accelerator_ = vm::Accelerator::kvm;
    Sandbox sandbox_;
    std::unique_ptr<Processes> processes_;   // once the VM is up
    std::unique_ptr<ShareSync> share_;       // none without host volumes
    std::unique_ptr<StorageWatch> storage_;  // while the VM runs
    bool running_ = false;                   // the VM is up and has not died
    int finishing_ = 0;                      // ended processes whose end has not been reported, and the last look at the volumes
    base::Event finished_;                   // finishing_ is 0
};

}  // namespace runtime
