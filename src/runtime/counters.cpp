#include "runtime/counters.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"

namespace runtime {
namespace asio = boost::asio;
namespace api = ya_runtime_api;
using asio::awaitable;

awaitable<agent::Traffic> ask_traffic(GuestChannel& guest) {
    agent::Request request;
    request.mutable_count_traffic();
    const agent::Reply reply = co_await guest.request(std::move(request));
    co_return reply.traffic();
}

Counters::Counters(const asio::any_io_executor& executor, std::function<uint64_t()> storage_used, Send send)
    : executor_(executor), storage_used_(std::move(storage_used)), send_(std::move(send)) {}

awaitable<void> Counters::run(GuestChannel& guest, std::chrono::seconds interval) {
    asio::steady_timer timer(executor_);
    while (co_await count_traffic(guest)) {
        send(kStorageCounter, storage_used_());
        timer.expires_after(interval);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

awaitable<void> Counters::last(GuestChannel& guest) {
    const bool alive = co_await count_traffic(guest);
    if (alive) send(kStorageCounter, storage_used_());
}

// Returns false once there is no VM to ask. What a guest says of its traffic may only grow.
awaitable<bool> Counters::count_traffic(GuestChannel& guest) {
    try {
        const agent::Traffic traffic = co_await ask_traffic(guest);
        received_ = std::max(received_, traffic.received());
        given_ = std::max(given_, traffic.sent());
    } catch (const base::Error&) {  // the VM has ended, which is reported elsewhere
        co_return false;
    }
    send(kReceivedCounter, received_);
    send(kSentCounter, given_);
    co_return true;
}

void Counters::send(const char* name, uint64_t bytes) {
    const auto known = told_.find(name);
    if (known != told_.end() && known->second == bytes) return;
    told_[name] = bytes;
    api::Response response;
    response.set_event(true);
    api::RuntimeStatus::Counter& counter = *response.mutable_rt_status()->mutable_counter();
    counter.set_name(name);
    counter.set_value(static_cast<double>(bytes) / (1 << 20));
    send_(response);
}

}  // namespace runtime
