#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace runtime {

// An Ethernet frame: its header at least, and at most that, a VLAN tag and the largest MTU that a card can have.
constexpr uint32_t kMinFrame = 14;
constexpr uint32_t kMaxFrame = 14 + 4 + 65535;

// Goes through a stream of frames, each behind its length (4 bytes, big-endian), and leaves out those that are none: QEMU ends a link
// on which it is told of a frame that it has no room for.
class FrameFilter {
public:
    // Appends to `out` what of the stream's next bytes is to be passed on.
    void take(std::span<const char> bytes, std::vector<char>& out);

    uint64_t dropped() const { return dropped_; }  // frames

private:
    void begin_frame(std::vector<char>& out);

    std::array<char, 4> length_{};
    size_t have_ = 0;    // of its bytes
    uint32_t left_ = 0;  // bytes of the frame that are still to come
    bool keep_ = true;
    uint64_t dropped_ = 0;
};

}  // namespace runtime
