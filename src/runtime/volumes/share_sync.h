#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <memory>

#include "runtime/volumes/mapped_entry.h"

namespace runtime {

// Keeps the guest's and the host's view of the host volumes in agreement (docs/spec/exe-unit.md, "TRANSFER and the volume";
// share_watcher.h), on its own thread, so that a long sync delays nothing else. It syncs before and after each process, and in between a
// moment after a change, for the entrypoint and for children that outlive their process. Modes that would keep QEMU from opening a file
// reach the host once nothing lives in the guest.
class ShareSync {
public:
    // `share` is the folder of all host volumes, `staging` one on the same file system that the guest does not see. Throws base::Error.
    ShareSync(const boost::asio::any_io_executor& executor, const std::filesystem::path& share, const std::filesystem::path& staging,
              GuestOwner owner);
    ~ShareSync();  // cuts a running sync short
    ShareSync(const ShareSync&) = delete;
    ShareSync& operator=(const ShareSync&) = delete;

    // Await it before a process is started: what the host put into the volumes is visible to it.
    boost::asio::awaitable<void> process_starts();
    // Await it when the process has ended, or was not started after all: what it wrote is visible to the host.
    boost::asio::awaitable<void> process_ended();
    // Whether any process lives in the guest, a child that outlives its process for one. Counts beside the processes above; false at first.
    // A sync follows in a moment.
    void set_living(bool any);
    // Await it when the VM has ended: all that it wrote is visible to the host, and the host's user can remove it (make_removable).
    boost::asio::awaitable<void> vm_ended();

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace runtime
