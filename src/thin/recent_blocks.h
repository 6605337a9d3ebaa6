#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

namespace thin {

// The content of the last few blocks; the oldest goes.
class RecentBlocks {
public:
    // Null where it is not there, or no longer. Valid until the next `put`.
    const std::vector<std::byte>* find(uint64_t block) const {
        const auto found = blocks_.find(block);
        return found == blocks_.end() ? nullptr : &found->second;
    }
    void put(uint64_t block, std::vector<std::byte> data) {
        if (!blocks_.contains(block)) order_.push_back(block);
        if (order_.size() > kMost) {
            blocks_.erase(order_.front());
            order_.pop_front();
        }
        blocks_[block] = std::move(data);
    }

private:
    static constexpr size_t kMost = 64;

    std::map<uint64_t, std::vector<std::byte>> blocks_;
    std::deque<uint64_t> order_;
};

}  // namespace thin
