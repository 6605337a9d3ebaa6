#include "thin/fetch_queue.h"

#include <algorithm>

namespace thin {
namespace {

// Blocks of one request.
constexpr size_t kLongestRun = 16;
constexpr size_t kQueuedRun = 4;  // of one that somebody will probably wait for
constexpr size_t kUrgentRun = 2;  // of one that somebody waits for

// Blocks ahead of a guest that reads on, doubled as it does.
constexpr size_t kFirstAhead = 2;
constexpr size_t kMostAhead = 32;

}  // namespace

FetchQueue::FetchQueue(size_t blocks, std::span<const uint32_t> first_reads, bool all)
    : all_(all), states_(blocks, State::unknown), recorded_(first_reads.begin(), first_reads.end()) {}

void FetchQueue::set(uint64_t block, State state) {
    if (states_[block] == State::present) present_--;
    if (state == State::present) present_++;
    if (state == State::unknown) background_ = std::min(background_, block);
    states_[block] = state;
}

void FetchQueue::demand(uint64_t block, Clock::time_point now) {
    last_demand_ = now;
    if (is_demanded(block)) return;
    urgent_.push_back(block);
    read_ahead(block);
}

bool FetchQueue::is_demanded(uint64_t block) const {
    return std::find(urgent_.begin(), urgent_.end(), block) != urgent_.end();
}

size_t FetchQueue::neglected() const {
    return static_cast<size_t>(std::count_if(urgent_.begin(), urgent_.end(), [this](uint64_t block) { return is_free(block); }));
}

void FetchQueue::read_ahead(uint64_t block) {
    const bool goes_on = block > 0 && !is_free(block - 1);
    ahead_size_ = goes_on ? std::min(std::max(2 * ahead_size_, kFirstAhead), kMostAhead) : 0;
    ahead_.clear();
    for (uint64_t next = block + 1; next < states_.size() && ahead_.size() < ahead_size_; next++)
        ahead_.push_back(next);
}

std::vector<uint64_t> FetchQueue::free_from(uint64_t block, size_t longest) const {
    std::vector<uint64_t> run;
    for (; block < states_.size() && run.size() < longest && is_free(block); block++)
        run.push_back(block);
    return run;
}

// The next free block of a queue, and those behind it that adjoin.
std::vector<uint64_t> FetchQueue::from(std::deque<uint64_t>& queue) const {
    std::vector<uint64_t> run;
    while (!queue.empty() && run.size() < kQueuedRun) {
        const uint64_t block = queue.front();
        const bool fits = is_free(block) && (run.empty() || block == run.back() + 1);
        if (!fits && !run.empty()) break;
        queue.pop_front();
        if (fits) run.push_back(block);
    }
    return run;
}

std::vector<uint64_t> FetchQueue::next_run(Clock::time_point now) {
    const auto urgent = std::find_if(urgent_.begin(), urgent_.end(), [this](uint64_t block) { return is_free(block); });
    if (urgent != urgent_.end()) return free_from(*urgent, kUrgentRun);
    for (std::deque<uint64_t>* queue : {&recorded_, &ahead_}) {
        if (std::vector<uint64_t> run = from(*queue); !run.empty()) return run;
    }
    if (!all_ || now - last_demand_ < kQuiet) return {};
    while (background_ < states_.size() && !is_free(background_))
        background_++;
    return free_from(background_, kLongestRun);
}

std::vector<uint64_t> FetchQueue::take_run(Clock::time_point now) {
    std::vector<uint64_t> run = next_run(now);
    for (const uint64_t block : run)
        set(block, State::assigned);
    return run;
}

void FetchQueue::arrived(uint64_t block) {
    set(block, State::present);
    std::erase(urgent_, block);
}

void FetchQueue::give_back(uint64_t block) {
    set(block, State::unknown);
}

}  // namespace thin
