#include "runtime/counters.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "base/json.h"

namespace runtime {
namespace asio = boost::asio;
namespace api = ya_runtime_api;
namespace fs = std::filesystem;
using asio::awaitable;
namespace {

constexpr uint64_t kBlock = 512;  // of st_blocks: stat(2)

uint64_t allocated(const struct stat& status) {
    return static_cast<uint64_t>(status.st_blocks) * kBlock;
}

}  // namespace

awaitable<uint64_t> allocated_below(asio::any_io_executor executor, fs::path folder) {
    constexpr unsigned kAtOnce = 256;
    uint64_t sum = 0;
    unsigned seen = 0;
    asio::steady_timer turn(executor);
    std::error_code error;
    // Follows no symlinks. Changes by a supervisor or guest meanwhile can at most make a number wrong.
    fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
    while (!error && entry != fs::recursive_directory_iterator()) {
        struct stat status {};
        if (::lstat(entry->path().c_str(), &status) == 0) sum += allocated(status);
        entry.increment(error);
        if (++seen % kAtOnce == 0) {
            turn.expires_after(std::chrono::seconds(0));
            co_await turn.async_wait(asio::use_awaitable);
        }
    }
    co_return sum;
}

Counters::Counters(const asio::any_io_executor& executor, std::vector<base::UniqueFd> disks, fs::path volumes, Send send)
    : executor_(executor), disks_(std::move(disks)), volumes_(std::move(volumes)), send_(std::move(send)) {}

awaitable<void> Counters::run(GuestChannel& guest, std::chrono::seconds interval) {
    constexpr int kRest = 50;  // looking at many files must not become this machine's main load
    asio::steady_timer timer(executor_);
    auto next_look = std::chrono::steady_clock::now();
    for (;;) {
        const bool alive = co_await count_traffic(guest);
        if (!alive) co_return;
        const auto begin = std::chrono::steady_clock::now();
        if (begin >= next_look) {
            below_volumes_ = co_await allocated_below(executor_, volumes_);
            const auto end = std::chrono::steady_clock::now();
            next_look = end + kRest * (end - begin);
        }
        count_storage();
        timer.expires_after(interval);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

awaitable<void> Counters::last(GuestChannel& guest) {
    const bool alive = co_await count_traffic(guest);
    if (alive) count_storage();
}

// Returns false once there is no VM to ask. What a guest says of its traffic may only grow.
awaitable<bool> Counters::count_traffic(GuestChannel& guest) {
    agent::Request request;
    request.mutable_count_traffic();
    try {
        const agent::Reply reply = co_await guest.request(std::move(request));
        received_ = std::max(received_, reply.traffic().received());
        given_ = std::max(given_, reply.traffic().sent());
    } catch (const base::Error&) {  // the VM has ended, which is reported elsewhere
        co_return false;
    }
    send(kReceivedCounter, received_);
    send(kSentCounter, given_);
    co_return true;
}

void Counters::count_storage() {
    uint64_t storage = below_volumes_;
    for (const base::UniqueFd& disk : disks_) {
        struct stat status {};
        if (::fstat(disk.get(), &status) == 0) storage += allocated(status);
    }
    send(kStorageCounter, storage);
}

void Counters::state(const std::string& name, const std::string& reason) {
    api::Response response;
    response.set_event(true);
    api::RuntimeStatus::State& state = *response.mutable_rt_status()->mutable_state();
    state.set_name("vm");
    nlohmann::json value{{"state", name}};
    if (!reason.empty()) value["reason"] = reason;
    state.set_value(base::to_text(value));
    send_(response);
    if (!reason.empty()) disks_.clear();
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
