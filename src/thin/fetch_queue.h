#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace thin {

// Which blocks of an image are there, and which are to be fetched next: those that somebody waits for; then the recorded start; then what
// follows where a guest reads on; then, once nobody has waited for a while, all others. Not thread-safe.
class FetchQueue {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr auto kQuiet = std::chrono::milliseconds(300);  // without a wait, before what nobody has asked for is fetched

    // `all`: also what nobody has asked for.
    FetchQueue(size_t blocks, std::span<const uint32_t> first_reads, bool all);

    bool is_present(uint64_t block) const { return states_[block] == State::present; }
    bool is_assigned(uint64_t block) const { return states_[block] == State::assigned; }
    bool complete() const { return present_ == states_.size(); }

    // Somebody waits for a block that is not there.
    void demand(uint64_t block, Clock::time_point now);
    bool is_demanded(uint64_t block) const;
    bool is_any_demanded() const { return !urgent_.empty(); }
    // How many of those are assigned to nobody.
    size_t neglected() const;

    // Blocks that adjoin, to be fetched by the caller, to whom they are assigned until `arrived` or `give_back`; empty: none, now.
    std::vector<uint64_t> take_run(Clock::time_point now);
    void arrived(uint64_t block);
    void give_back(uint64_t block);  // also of one that was present
    // Whether take_run may give something later though nobody asks for anything.
    bool has_background() const { return all_ && !complete(); }

private:
    enum class State : uint8_t { unknown, assigned, present };

    bool is_free(uint64_t block) const { return states_[block] == State::unknown; }
    void set(uint64_t block, State state);
    void read_ahead(uint64_t block);
    std::vector<uint64_t> next_run(Clock::time_point now);
    std::vector<uint64_t> free_from(uint64_t block, size_t longest) const;
    std::vector<uint64_t> from(std::deque<uint64_t>& queue) const;

    bool all_;
    std::vector<State> states_;
    uint64_t present_ = 0;
    std::deque<uint64_t> urgent_;  // somebody waits for them
    std::deque<uint64_t> recorded_;
    std::deque<uint64_t> ahead_;  // somebody will probably wait for them
    size_t ahead_size_ = 0;
    uint64_t background_ = 0;  // below, no block is free
    Clock::time_point last_demand_{};
};

}  // namespace thin
