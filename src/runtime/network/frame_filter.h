#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace runtime {

// The size of an Ethernet frame: at least its header, at most header, VLAN tag and the largest MTU of a card.
constexpr uint32_t kMinFrame = 14;
constexpr uint32_t kMaxFrame = 14 + 4 + 65535;

// Filters a stream of frames, each after its length (4 bytes, big-endian), and drops invalid ones: QEMU would close a link that announces a
// frame for which it has no room.
class FrameFilter {
public:
    // Appends to `out` what is to be passed on of the stream's next bytes.
    void take(std::span<const char> bytes, std::vector<char>& out);

    uint64_t dropped() const { return dropped_; }  // frames

private:
    void begin_frame(std::vector<char>& out);

    std::array<char, 4> length_{};
    size_t length_bytes_ = 0;  // of its bytes
    uint32_t left_ = 0;        // bytes of the frame still to come
    bool keep_ = true;
    uint64_t dropped_ = 0;
};

}  // namespace runtime
