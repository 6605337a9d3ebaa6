#include "thin/blocks.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "http/client.h"
#include "thin/download.h"

namespace thin {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr size_t kLongestRun = 16;  // blocks of one request
constexpr size_t kUrgentRun = 2;    // of one that somebody waits for
constexpr size_t kMostKept = 64;    // blocks in memory
constexpr auto kFirstPause = 500ms;
constexpr auto kLongestPause = 15s;
constexpr size_t kFirstAhead = 2;  // blocks fetched ahead of a guest that reads one after another, doubled as it goes on
constexpr size_t kMostAhead = 32;
constexpr auto kQuiet = 300ms;      // without a wait before blocks are fetched that nobody has asked for
constexpr auto kOthersTurn = 20ms;  // before we look again for a block that another process fetches

// Ends a request for blocks that nobody waits for, since somebody waits for another.
struct Preempted : base::Error {
    Preempted() : base::Error("preempted") {}
};

enum class BlockState : uint8_t { unknown, assigned, present };

// The last few things by block number; the oldest goes.
template <typename T>
class Recent {
public:
    explicit Recent(size_t limit) : limit_(limit) {}
    T* find(uint64_t block) {
        const auto found = items_.find(block);
        return found == items_.end() ? nullptr : &found->second;
    }
    T& put(uint64_t block, T item) {
        if (!items_.contains(block)) order_.push_back(block);
        if (order_.size() > limit_) {
            items_.erase(order_.front());
            order_.pop_front();
        }
        return items_[block] = std::move(item);
    }
    void erase(uint64_t block) {
        if (items_.erase(block) > 0) order_.remove(block);
    }

private:
    size_t limit_;
    std::map<uint64_t, T> items_;
    std::list<uint64_t> order_;
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
        : table_(std::move(table)), cache_(cache), options_(std::move(options)), states_(table_.hashes.size(), BlockState::unknown) {
        for (const std::string& url : table_.urls)
            servers_.push_back({url});
        recorded_.assign(table_.first_reads.begin(), table_.first_reads.end());
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
        return present_ == states_.size();
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
                demand(block);
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
    void demand(uint64_t block);
    void set_state(uint64_t block, BlockState state);

    void work();
    std::vector<uint64_t> choose(Lock& lock);
    std::optional<uint64_t> next_wanted();
    std::vector<uint64_t> take_turns(const base::UniqueFd& turns, std::vector<uint64_t> run);
    bool look_in_cache(uint64_t block, std::vector<std::byte>& data);
    void fetch(Lock& lock, Download& download, const std::vector<uint64_t>& run);
    Server* choose_server(Lock& lock);
    void receive(const Server& server, Download& download, const std::vector<uint64_t>& run, size_t& done);
    void arrived(uint64_t block, std::vector<std::byte> data);
    void server_failed(const std::string& url, const std::string& reason);
    void read_ahead(uint64_t block);
    bool preempted(uint64_t block);
    std::optional<uint64_t> take_free(std::deque<uint64_t>& blocks) const;
    bool is_free(uint64_t block) const { return states_[block] == BlockState::unknown; }
    bool somebody_waits() const {
        return std::any_of(urgent_.begin(), urgent_.end(), [this](uint64_t block) { return is_free(block); });
    }
    bool wanted(uint64_t block) const { return std::find(urgent_.begin(), urgent_.end(), block) != urgent_.end(); }

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
    std::vector<BlockState> states_;
    uint64_t present_ = 0;
    std::deque<uint64_t> urgent_;  // somebody waits for them
    std::deque<uint64_t> ahead_;   // somebody will, it seems
    size_t ahead_size_ = 0;
    std::deque<uint64_t> recorded_;  // what is left of the recorded start
    uint64_t background_ = 0;        // below, no block is left to begin with
    Clock::time_point last_demand_{};
    std::vector<Server> servers_;
    std::optional<Clock::time_point> failing_since_;  // no server has given a right block since
    bool noticed_ = false;
    Recent<std::vector<std::byte>> kept_{kMostKept};
};

// Unlocks while it looks into the cache. What has left the memory is compared with its hash again: its file may have been damaged since.
bool Blocks::State::read_block(Lock& lock, uint64_t block, uint64_t offset, std::span<std::byte> buffer) {
    const auto copy = [&](const std::vector<std::byte>& data) {
        std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(offset), buffer.size(), buffer.begin());
        return true;
    };
    if (const std::vector<std::byte>* data = kept_.find(block)) return copy(*data);
    if (states_[block] == BlockState::assigned) return false;
    lock.unlock();
    std::vector<std::byte> data;
    const bool found = look_in_cache(block, data);
    if (found) copy(data);
    lock.lock();
    if (found) {
        keep(block, std::move(data));
    } else if (states_[block] == BlockState::present) {
        set_state(block, BlockState::unknown);  // evicted, damaged, or the cache was removed
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
    set_state(block, BlockState::present);
    std::erase(urgent_, block);
}

void Blocks::State::set_state(uint64_t block, BlockState state) {
    if (states_[block] == BlockState::present) present_--;
    if (state == BlockState::present) present_++;
    if (state == BlockState::unknown) background_ = std::min(background_, block);
    states_[block] = state;
}

void Blocks::State::demand(uint64_t block) {
    last_demand_ = Clock::now();
    if (!wanted(block)) {
        urgent_.push_back(block);
        read_ahead(block);
    }
    changed_.notify_all();
}

// A guest that reads on where it has read before gets what follows, too.
void Blocks::State::read_ahead(uint64_t block) {
    const bool goes_on = block > 0 && !is_free(block - 1);
    ahead_size_ = goes_on ? std::min(std::max(2 * ahead_size_, kFirstAhead), kMostAhead) : 0;
    ahead_.clear();
    for (uint64_t next = block + 1; next < states_.size() && ahead_.size() < ahead_size_; next++)
        ahead_.push_back(next);
}

std::optional<uint64_t> Blocks::State::take_free(std::deque<uint64_t>& blocks) const {
    while (!blocks.empty()) {
        const uint64_t block = blocks.front();
        blocks.pop_front();
        if (is_free(block)) return block;
    }
    return std::nullopt;
}

// The next block to begin with, or none.
std::optional<uint64_t> Blocks::State::next_wanted() {
    const auto urgent = std::find_if(urgent_.begin(), urgent_.end(), [this](uint64_t block) { return is_free(block); });
    if (urgent != urgent_.end()) return *urgent;
    if (const auto recorded = take_free(recorded_)) return recorded;
    if (const auto ahead = take_free(ahead_)) return ahead;
    if (!options_.all || Clock::now() - last_demand_ < kQuiet) return std::nullopt;
    while (background_ < states_.size() && !is_free(background_))
        background_++;
    if (background_ < states_.size()) return background_;
    return std::nullopt;
}

// A run of blocks that adjoin, which are ours from now on; empty at the end.
std::vector<uint64_t> Blocks::State::choose(Lock& lock) {
    for (;;) {
        if (ending_ || !failure_.empty()) return {};
        const std::optional<uint64_t> first = next_wanted();
        if (!first) {
            const bool later = options_.all && present_ < states_.size();
            if (later) {
                changed_.wait_for(lock, kQuiet);
            } else {
                changed_.wait(lock);
            }
            continue;
        }
        const bool quiet = Clock::now() - last_demand_ >= kQuiet;
        const size_t longest = quiet && options_.all ? kLongestRun : wanted(*first) ? kUrgentRun : 1;
        std::vector<uint64_t> run;
        for (uint64_t block = *first; block < states_.size() && run.size() < longest && is_free(block); block++) {
            set_state(block, BlockState::assigned);
            run.push_back(block);
        }
        return run;
    }
}

// Those at the beginning of a run that are not in the cache and that no other process fetches; the rest is given back.
std::vector<uint64_t> Blocks::State::take_turns(const base::UniqueFd& turns, std::vector<uint64_t> run) {
    std::vector<uint64_t> ours;
    std::vector<uint64_t> others;
    std::vector<std::byte> data;
    for (const uint64_t block : run) {
        if (!others.empty()) {
            others.push_back(block);
            continue;
        }
        if (turns && !BlockCache::take_turn(turns, table_.hashes[block])) {
            others.push_back(block);
            continue;
        }
        if (!look_in_cache(block, data)) {
            ours.push_back(block);
            continue;
        }
        if (turns) BlockCache::end_turn(turns, table_.hashes[block]);
        {
            const std::lock_guard lock(mutex_);
            keep(block, std::exchange(data, {}));
        }
        changed_.notify_all();
        options_.arrived();
        if (!ours.empty()) {  // a request has no gaps
            others.insert(others.end(), std::find(run.begin(), run.end(), block) + 1, run.end());
            break;
        }
    }
    const std::lock_guard lock(mutex_);
    for (const uint64_t block : others)
        if (states_[block] == BlockState::assigned) set_state(block, BlockState::unknown);
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
        } else if (std::any_of(run.begin(), run.end(), [this](uint64_t block) { return states_[block] == BlockState::unknown; })) {
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
        set_state(run[done], BlockState::unknown);
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

bool Blocks::State::preempted(uint64_t block) {
    const std::lock_guard lock(mutex_);
    return ending_ || (somebody_waits() && !wanted(block));
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
    if (urgent_.empty()) return;
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
uint64_t Blocks::fetched_bytes() const {
    return state_->fetched_bytes();
}
bool Blocks::complete() const {
    return state_->complete();
}

}  // namespace thin
