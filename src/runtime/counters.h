#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "exeunit/ya_runtime_api.pb.h"
#include "runtime/guest.h"

namespace runtime {

// Network traffic, as the VM sees it, and the use of the host's disk: MiB since the VM's start.
constexpr const char* kReceivedCounter = "golem.usage.network.in-mib";
constexpr const char* kSentCounter = "golem.usage.network.out-mib";
constexpr const char* kStorageCounter = "golem.usage.storage.used-mib";

// Bytes on disk below a folder; other coroutines run meanwhile. What cannot be read counts nothing.
boost::asio::awaitable<uint64_t> allocated_below(boost::asio::any_io_executor executor, std::filesystem::path folder);

// Tells a supervisor that asked for it (--counters) what the VM uses: runtime status events (docs/spec/exe-unit.md).
class Counters {
public:
    using Send = std::function<void(const ya_runtime_api::Response&)>;  // called on the executor's thread

    // `disks` are those that the VM writes to; `volumes` is the folder of the host volumes.
    Counters(const boost::asio::any_io_executor& executor, std::vector<base::UniqueFd> disks, std::filesystem::path volumes, Send send);

    // Counts at each interval, and sends what has changed, until the VM has ended. The guest and this object must live as long as the
    // executor runs.
    boost::asio::awaitable<void> run(GuestChannel& guest, std::chrono::seconds interval);

    // The last figures of a VM, from cheap sources. The guest answers in order, so this is answered before its shutdown.
    boost::asio::awaitable<void> last(GuestChannel& guest);

    // "up", or "died" with a reason, which also releases the VM's disks.
    void state(const std::string& name, const std::string& reason = {});

private:
    boost::asio::awaitable<bool> count_traffic(GuestChannel& guest);
    void count_storage();
    void send(const char* name, uint64_t bytes);

    boost::asio::any_io_executor executor_;
    std::vector<base::UniqueFd> disks_;
    std::filesystem::path volumes_;
    Send send_;
    std::map<std::string, uint64_t> told_;  // by counter
    uint64_t received_ = 0;                 // bytes, as all below
    uint64_t given_ = 0;
    uint64_t below_volumes_ = 0;
};

}  // namespace runtime
