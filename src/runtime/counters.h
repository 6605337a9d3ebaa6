#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "exeunit/ya_runtime_api.pb.h"
#include "runtime/guest.h"

namespace runtime {

// Network traffic, as the VM sees it, and the use of the host's disk: MiB since the VM's start.
constexpr const char* kReceivedCounter = "golem.usage.network.in-mib";
constexpr const char* kSentCounter = "golem.usage.network.out-mib";
constexpr const char* kStorageCounter = "golem.usage.storage.used-mib";

// The traffic of the VM's cards. Throws as GuestChannel::request does.
boost::asio::awaitable<agent::Traffic> ask_traffic(GuestChannel& guest);

// Tells a supervisor that asked for it (--counters) what the VM uses: runtime status events (docs/spec/exe-unit.md).
class Counters {
public:
    using Send = std::function<void(const ya_runtime_api::Response&)>;  // called on the executor's thread

    // `storage_used` tells how many bytes the VM holds of the host's disk.
    Counters(const boost::asio::any_io_executor& executor, std::function<uint64_t()> storage_used, Send send);

    // Counts at each interval, and sends what has changed, until the VM has ended. The guest and this object must live as long as the
    // executor runs.
    boost::asio::awaitable<void> run(GuestChannel& guest, std::chrono::seconds interval);

    // The last figures of a VM, from cheap sources. The guest answers in order, so this is answered before its shutdown.
    boost::asio::awaitable<void> last(GuestChannel& guest);

private:
    boost::asio::awaitable<bool> count_traffic(GuestChannel& guest);
    void send(const char* name, uint64_t bytes);

    boost::asio::any_io_executor executor_;
    std::function<uint64_t()> storage_used_;
    Send send_;
    std::map<std::string, uint64_t> told_;  // by counter
    uint64_t received_ = 0;                 // bytes, as all below
    uint64_t given_ = 0;
};

}  // namespace runtime
