#include "dbg/outbound/frame_splitter.h"

#include <arpa/inet.h>

#include <cstring>

namespace dbg::outbound {

bool FrameSplitter::add(Bytes bytes, const std::function<void(Bytes frame)>& take) {
    pending_.append(bytes.begin(), bytes.end());
    size_t done = 0;
    for (;;) {
        uint32_t length = 0;
        const size_t left = pending_.size() - done;
        if (left < sizeof length) break;
        std::memcpy(&length, pending_.data() + done, sizeof length);
        length = ntohl(length);
        if (length > kLargestFrame) return false;
        if (left < sizeof length + length) break;
        take(Bytes(reinterpret_cast<const uint8_t*>(pending_.data()) + done + sizeof length, length));
        done += sizeof length + length;
    }
    pending_.erase(0, done);
    return true;
}

void append_frame(std::string& out, Bytes frame) {
    const uint32_t length = htonl(static_cast<uint32_t>(frame.size()));
    out.append(reinterpret_cast<const char*>(&length), sizeof length);
    out.append(frame.begin(), frame.end());
}

}  // namespace dbg::outbound
