#include "thin/blocks.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "http/client.h"
#include "thin/download.h"
#include "thin/fetch_queue.h"
#include "thin/recent_blocks.h"

namespace thin {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kFirstPause = 500ms;
constexpr auto kLongestPause = 15s;
constexpr auto kOthersTurn = 20ms;  // before we look again for a block that another process fetches

// Ends a request for blocks that nobody waits for, since somebody waits for another.
struct Preempted : base::Error {
    Preempted() : base::Error("preempted") {}
};

struct Server {
    std::string url;
    unsigned failures = 0;  // since its last right block
    Clock::time_point not_before{};
};

}  // namespace

class Blocks::State {
public:
    State(gvmi::ThinTable table, BlockCache* cache, FetchOptions options)
        : table_(std::move(table)),
          cache_(cache),
          options_(std::move(options)),
          queue_(table_.hashes.size(), table_.first_reads, options_.all) {
        for (const std::string& url : table_.urls)
            servers_.push_back({url});
        for (unsigned i = 0; i < std::max(1U, options_.connections); i++)
            threads_.emplace_back([this] { work(); });
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
            stop_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_)
            thread.join();
    }

    const gvmi::ThinTable& table() const { return table_; }
    uint64_t fetched_bytes() const { return fetched_bytes_; }
    bool complete() {
        const std::lock_guard lock(mutex_);
        return queue_.complete();
    }

    bool read(uint64_t position, std::span<std::byte> buffer) {
        if (position > table_.size || buffer.size() > table_.size - position) throw base::Error("a read beyond the end of the image");
        bool all = true;
        std::unique_lock lock(mutex_);
        while (!buffer.empty()) {
            const uint64_t block = position / gvmi::kThinBlock;
            const uint64_t offset = position % gvmi::kThinBlock;
            const auto size = static_cast<size_t>(std::min<uint64_t>(buffer.size(), table_.block_bytes(block) - offset));
            if (!read_block(lock, block, offset, buffer.first(size))) {
                all = false;
                queue_.demand(block, Clock::now());
                changed_.notify_all();
            }
            position += size;
            buffer = buffer.subspan(size);
        }
        return all;
    }

    void read_waiting(uint64_t position, std::span<std::byte> buffer) {
        while (!read(position, buffer)) {
            std::unique_lock lock(mutex_);
            if (!failure_.empty()) throw base::Error(failure_);
            changed_.wait_for(lock, 100ms);
        }
    }

private:
    using Lock = std::unique_lock<std::mutex>;

    bool read_block(Lock& lock, uint64_t block, uint64_t offset, std::span<std::byte> buffer);
    void keep(uint64_t block, std::vector<std::byte> data);

    void work();
    std::vector<uint64_t> choose(Lock& lock);
    bool find_in_cache(uint64_t block);
    std::vector<uint64_t> take_turns(const base::UniqueFd& turns, std::vector<uint64_t> run);
    bool look_in_cache(uint64_t block, std::vector<std::byte>& data);
    void fetch(Lock& lock, Download& download, const std::vector<uint64_t>& run);
    Server* choose_server(Lock& lock);
    void receive(const Server& server, Download& download, const std::vector<uint64_t>& run, size_t& done);
    void arrived(uint64_t block, std::vector<std::byte> data);
    void server_failed(const std::string& url, const std::string& reason);
    bool preempted(uint64_t block);

    const gvmi::ThinTable table_;
    BlockCache* cache_;
    const FetchOptions options_;
    std::vector<std::thread> threads_;
    std::atomic<uint64_t> fetched_bytes_{0};
    std::atomic<bool> stop_{false};  // like ending_, for requests under way

    std::mutex mutex_;  // of all below
    std::condition_variable changed_;
    bool ending_ = false;
    std::string failure_;  // the patience is over
    FetchQueue queue_;
    size_t idle_ = 0;  // threads that have nothing to fetch
    std::vector<Server> servers_;
    std::optional<Clock::time_point> failing_since_;  // no server has given a right block since
    bool noticed_ = false;
    RecentBlocks kept_;
};

// Unlocks while it looks into the cache. What has left the memory is compared with its hash again: its file may have been damaged since.
bool Blocks::State::read_block(Lock& lock, uint64_t block, uint64_t offset, std::span<std::byte> buffer) {
    const auto copy = [&](const std::vector<std::byte>& data) {
        std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(offset), buffer.size(), buffer.begin());
        return true;
    };
    if (const std::vector<std::byte>* data = kept_.find(block)) return copy(*data);
    if (queue_.is_assigned(block)) return false;
    lock.unlock();
    std::vector<std::byte> data;
    const bool found = look_in_cache(block, data);
    if (found) copy(data);
    lock.lock();
    if (found) {
        keep(block, std::move(data));
    } else if (queue_.is_present(block)) {
        queue_.give_back(block);  // evicted, damaged, or the cache was removed
    }
    return found;
}

bool Blocks::State::look_in_cache(uint64_t block, std::vector<std::byte>& data) {
    if (!cache_) return false;
    data.resize(table_.block_bytes(block));
    return cache_->read(table_.hashes[block], data);
}

void Blocks::State::keep(uint64_t block, std::vector<std::byte> data) {
    kept_.put(block, std::move(data));
    queue_.arrived(block);
}

// Waits for blocks to fetch; empty at the end.
std::vector<uint64_t> Blocks::State::choose(Lock& lock) {
    for (;;) {
        if (ending_ || !failure_.empty()) return {};
        std::vector<uint64_t> run = queue_.take_run(Clock::now());
        if (!run.empty()) return run;
        idle_++;
        if (queue_.has_background()) {
            changed_.wait_for(lock, FetchQueue::kQuiet);
        } else {
            changed_.wait(lock);
        }
        idle_--;
    }
}

// Reads only a block that somebody waits for: whoever reads another later compares it with its hash then.
bool Blocks::State::find_in_cache(uint64_t block) {
    if (!cache_) return false;
    Lock lock(mutex_);
    if (!queue_.is_demanded(block)) {
        lock.unlock();
        const bool found = cache_->holds(table_.hashes[block], table_.block_bytes(block));
        lock.lock();
        if (found) queue_.arrived(block);
        return found;
    }
    lock.unlock();
    std::vector<std::byte> data;
    if (!look_in_cache(block, data)) return false;
    lock.lock();
    keep(block, std::move(data));
    return true;
}

// Those at the beginning of a run that are not in the cache and that no other process fetches; the rest is given back.
std::vector<uint64_t> Blocks::State::take_turns(const base::UniqueFd& turns, std::vector<uint64_t> run) {
    std::vector<uint64_t> ours;
    std::vector<uint64_t> others;
    for (const uint64_t block : run) {
        if (!others.empty()) {
            others.push_back(block);
            continue;
        }
        if (turns && !BlockCache::take_turn(turns, table_.hashes[block])) {
            others.push_back(block);
            continue;
        }
        if (!find_in_cache(block)) {
            ours.push_back(block);
            continue;
        }
        if (turns) BlockCache::end_turn(turns, table_.hashes[block]);
        changed_.notify_all();
        options_.arrived();
        if (!ours.empty()) {  // a request has no gaps
            others.insert(others.end(), std::find(run.begin(), run.end(), block) + 1, run.end());
            break;
        }
    }
    const std::lock_guard lock(mutex_);
    for (const uint64_t block : others)
        queue_.give_back(block);
    return ours;
}

void Blocks::State::work() {
    const base::UniqueFd turns = cache_ ? cache_->open_turns() : base::UniqueFd();
    Download download(options_.policy, options_.rate / std::max(1U, options_.connections));
    Lock lock(mutex_);
    for (;;) {
        const std::vector<uint64_t> run = choose(lock);
        if (run.empty()) return;
        lock.unlock();
        const std::vector<uint64_t> ours = take_turns(turns, run);
        lock.lock();
        if (!ours.empty()) {
            fetch(lock, download, ours);
        } else if (!queue_.is_present(run.back())) {
            changed_.wait_for(lock, kOthersTurn);
        }
        if (!turns) continue;
        for (const uint64_t block : ours)
            BlockCache::end_turn(turns, table_.hashes[block]);
    }
}

// A server that may be asked now; null at the end.
Server* Blocks::State::choose_server(Lock& lock) {
    for (;;) {
        if (ending_ || !failure_.empty()) return nullptr;
        const auto now = Clock::now();
        Clock::time_point earliest = Clock::time_point::max();
        for (Server& server : servers_) {
            if (server.not_before <= now) return &server;
            earliest = std::min(earliest, server.not_before);
        }
        changed_.wait_until(lock, earliest);
    }
}

// Fetches a run, from one server after another, until it is there.
void Blocks::State::fetch(Lock& lock, Download& download, const std::vector<uint64_t>& run) {
    size_t done = 0;
    while (done < run.size()) {
        const Server* server = choose_server(lock);
        if (!server) break;
        const Server asked = *server;
        lock.unlock();
        std::string reason;
        try {
            receive(asked, download, run, done);
        } catch (const Preempted&) {
            lock.lock();
            break;
        } catch (const base::Error& e) {
            reason = e.what();
        }
        lock.lock();
        if (!reason.empty()) server_failed(asked.url, reason);
    }
    for (; done < run.size(); done++)
        queue_.give_back(run[done]);
}

void Blocks::State::receive(const Server& server, Download& download, const std::vector<uint64_t>& run, size_t& done) {
    const uint64_t first = run[done] * gvmi::kThinBlock;
    const uint64_t end = std::min((run.back() + 1) * gvmi::kThinBlock, table_.size);
    std::vector<std::byte> block;
    const auto take = [&](std::span<const std::byte> data) {
        fetched_bytes_ += data.size();
        while (!data.empty()) {
            const uint64_t number = run[done];
            const size_t wanted = table_.block_bytes(number) - block.size();
            const size_t size = std::min(wanted, data.size());
            block.insert(block.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
            data = data.subspan(size);
            if (size < wanted) return;
            if (hash_of(block) != table_.hashes[number])
                throw base::Error(server.url + ": wrong bytes at " + std::to_string(number * gvmi::kThinBlock));
            done++;
            arrived(number, std::exchange(block, {}));
            if (done < run.size() && preempted(run[done])) throw Preempted();
        }
    };
    const auto check = [this] {
        if (stop_) throw Preempted();
    };
    download.read(server.url, first, end - first, table_.size, take, check);
}

// Not where an idle thread is about to take what somebody waits for: the rest of a request that was broken off is asked for again.
bool Blocks::State::preempted(uint64_t block) {
    const std::lock_guard lock(mutex_);
    return ending_ || (queue_.neglected() > idle_ && !queue_.is_demanded(block));
}

void Blocks::State::arrived(uint64_t block, std::vector<std::byte> data) {
    if (cache_) (void)cache_->store(table_.hashes[block], data);
    {
        const std::lock_guard lock(mutex_);
        keep(block, std::move(data));
        failing_since_.reset();
        noticed_ = false;
        for (Server& server : servers_)
            if (server.not_before <= Clock::now()) server.failures = 0;
    }
    changed_.notify_all();
    options_.arrived();
}

void Blocks::State::server_failed(const std::string& url, const std::string& reason) {
    const auto now = Clock::now();
    for (Server& server : servers_) {
        if (server.url != url) continue;
        const auto pause = std::min<Clock::duration>(kFirstPause * (1 << std::min(server.failures, 8U)), kLongestPause);
        server.failures++;
        server.not_before = now + pause;
    }
    if (!failing_since_) failing_since_ = now;
    if (!queue_.is_any_demanded()) return;
    const auto failing = now - *failing_since_;
    if (failing >= options_.silence && !noticed_) {
        noticed_ = true;
        options_.notice("waiting for a server of the image: " + reason);
    }
    if (failing >= options_.patience && failure_.empty()) {
        failure_ = "no server of the image gave what was missing for " + std::to_string(options_.patience.count()) + " s: " + reason;
        options_.failed(failure_);
        changed_.notify_all();
    }
}

Blocks::Blocks(gvmi::ThinTable table, BlockCache* cache, FetchOptions options)
    : state_(std::make_unique<State>(std::move(table), cache, std::move(options))) {}
Blocks::~Blocks() = default;

const gvmi::ThinTable& Blocks::table() const {
    return state_->table();
}
bool Blocks::read(uint64_t position, std::span<std::byte> buffer) {
    return state_->read(position, buffer);
}
void Blocks::read_waiting(uint64_t position, std::span<std::byte> buffer) {
    state_->read_waiting(position, buffer);
}
gvmi::ReadAt Blocks::reader() {
    return [this](std::span<std::byte> buffer, uint64_t position) {
        const uint64_t end = table().size;
        const auto size = static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - std::min(end, position)));
        read_waiting(position, buffer.first(size));
        return size;
    };
}
uint64_t Blocks::fetched_bytes() const {
    return state_->fetched_bytes();
}
bool Blocks::complete() const {
    return state_->complete();
}

}  // namespace thin
