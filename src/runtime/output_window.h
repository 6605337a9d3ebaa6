#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace runtime {

// Bytes of one stream that may be on their way between a process and the supervisor while `streams` of them are open. It is wide enough for
// full speed with few streams, and narrow with many: together they stay below 8 MiB, or 16 KiB each, once all windows have turned over.
constexpr uint32_t output_window(size_t streams) {
    constexpr size_t kAll = 8 << 20;
    constexpr size_t kWidest = 1 << 20;
    constexpr size_t kNarrowest = 16 << 10;
    return static_cast<uint32_t>(std::clamp(kAll / std::max<size_t>(streams, 1), kNarrowest, kWidest));
}

// What a stream was granted and has not returned, whether it is in the guest, with us or in between.
class StreamCredit {
public:
    explicit StreamCredit(uint32_t granted) : under_way_(granted) {}

    // Records that `bytes` have left us, and returns how many to grant the guest now. Small amounts are accumulated.
    uint32_t returned(size_t bytes, uint32_t window) {
        under_way_ -= static_cast<uint32_t>(std::min<size_t>(bytes, under_way_));
        if (under_way_ + window / 8 > window) return 0;
        const uint32_t granted = window - under_way_;
        under_way_ = window;
        return granted;
    }

    uint32_t under_way() const { return under_way_; }

private:
    uint32_t under_way_;
};

}  // namespace runtime
