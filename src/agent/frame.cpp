#include "agent/frame.h"

#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <cstring>

namespace agent {
namespace {

constexpr size_t kKeptBytes = 512 << 10;  // a buffer that grew beyond this for one large frame is given back

uint32_t frame_length(const char* header) {
    uint32_t length = 0;
    for (unsigned i = 0; i < kFrameHeaderBytes; i++)
        length |= static_cast<uint32_t>(static_cast<unsigned char>(header[i])) << (8 * i);
    return length;
}

}  // namespace

void put_frame_header(char* header, uint32_t payload_bytes) {
    for (unsigned i = 0; i < kFrameHeaderBytes; i++)
        header[i] = static_cast<char>(payload_bytes >> (8 * i) & 0xff);
}

void append_frame(std::string& out, const google::protobuf::MessageLite& message) {
    const size_t at = out.size();
    out.append(kFrameHeaderBytes, '\0');
    message.AppendToString(&out);
    put_frame_header(out.data() + at, static_cast<uint32_t>(out.size() - at - kFrameHeaderBytes));
}

std::span<char> FrameDecoder::prepare(size_t size) {
    if (begin_ > 0) {
        // Happens at most once per incomplete frame, since begin_ stays 0 until the frame is complete; so no byte is copied again and
        // again.
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (end_ == 0 && buffer_.size() > kKeptBytes) std::vector<char>().swap(buffer_);
    if (buffer_.size() - end_ < size) buffer_.resize(std::max(end_ + size, std::min(2 * buffer_.size(), limit_ + size)));
    return {buffer_.data() + end_, size};
}

FrameDecoder::Found FrameDecoder::next(std::string_view& payload) {
    const size_t held = end_ - begin_;
    if (held < kFrameHeaderBytes) return Found::incomplete;
    const size_t length = frame_length(buffer_.data() + begin_);
    if (length > limit_) return Found::too_long;
    if (held - kFrameHeaderBytes < length) return Found::incomplete;
    payload = std::string_view(buffer_.data() + begin_ + kFrameHeaderBytes, length);
    begin_ += kFrameHeaderBytes + length;
    return Found::frame;
}

}  // namespace agent
