#include "runtime/network/frame_filter.h"

#include <algorithm>

namespace runtime {

void FrameFilter::begin_frame(std::vector<char>& out) {
    left_ = 0;
    for (const char byte : length_)
        left_ = left_ << 8 | static_cast<unsigned char>(byte);
    keep_ = left_ >= kMinFrame && left_ <= kMaxFrame;
    if (keep_) out.insert(out.end(), length_.begin(), length_.end());
    if (!keep_) dropped_++;
    length_bytes_ = 0;
}

void FrameFilter::take(std::span<const char> bytes, std::vector<char>& out) {
    while (!bytes.empty()) {
        if (left_ == 0) {
            length_.at(length_bytes_++) = bytes.front();
            bytes = bytes.subspan(1);
            if (length_bytes_ == length_.size()) begin_frame(out);
            continue;
        }
        const auto part = bytes.first(std::min<size_t>(left_, bytes.size()));
        if (keep_) out.insert(out.end(), part.begin(), part.end());
        left_ -= static_cast<uint32_t>(part.size());
        bytes = bytes.subspan(part.size());
    }
}

}  // namespace runtime
