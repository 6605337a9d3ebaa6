#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "dbg/outbound/packet.h"

namespace dbg::outbound {

// The largest frame: header, VLAN tag, packet.
constexpr uint32_t kLargestFrame = 14 + 4 + 65535;

// Splits a stream of frames, each after its length (4 bytes, big-endian).
class FrameSplitter {
public:
    // Calls `take` for each frame that is complete now. Returns false at a length over kLargestFrame, after which nothing can be read.
    bool add(Bytes bytes, const std::function<void(Bytes frame)>& take);

private:
    std::string pending_;  // less than one frame and its length
};

// Appends a frame after its length.
void append_frame(std::string& out, Bytes frame);

}  // namespace dbg::outbound
