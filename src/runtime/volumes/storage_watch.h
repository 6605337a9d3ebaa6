#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"

namespace runtime {

// Where a VM may write on the host, and how much.
struct WatchedStorage {
    std::vector<base::UniqueFd> disks;  // the disk images that it writes to; held open until the watch ends
    base::UniqueFd volumes;             // the folder of its host volumes
    pid_t qemu = -1;                    // holds files that the guest has removed and still writes to
    uint64_t limit = 0;                 // bytes in all; 0: none
};

// Looks once a second, on its own thread, at what a VM holds of the host's disk. The complete tree of the host volumes is looked at more
// seldom where that takes long: a hundredth of the time, or a fifth while the file system has lost so much space that the limit may have
// been passed.
class StorageWatch {
public:
    // `exceeded` is called at most once, by the executor, with the reason in plain words; not after this object's end.
    StorageWatch(const boost::asio::any_io_executor& executor, WatchedStorage storage,
                 std::function<void(const std::string& reason)> exceeded);
    ~StorageWatch();
    StorageWatch(const StorageWatch&) = delete;
    StorageWatch& operator=(const StorageWatch&) = delete;

    // Bytes in allocated blocks: of the disks now, of the host volumes at the last look.
    uint64_t used() const;

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace runtime
