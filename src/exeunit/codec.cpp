#include "exeunit/codec.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

namespace exeunit {
namespace {

constexpr size_t kMaxVarint = 10;

struct Length {
    uint64_t value;
    size_t size;  // of the varint itself
};

// The varint at the beginning of `data`; nothing where it is incomplete.
std::optional<Length> read_length(std::span<const char> data) {
    uint64_t value = 0;
    for (size_t i = 0; i < std::min(data.size(), kMaxVarint); i++) {
        const uint64_t byte = static_cast<unsigned char>(data[i]);
        if (i == kMaxVarint - 1 && byte > 1) throw FrameError("bad frame: its length does not fit 64 bits");
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) return Length{value, i + 1};
    }
    return std::nullopt;
}

}  // namespace

void append_frame(std::string& buffer, const google::protobuf::MessageLite& message) {
    const size_t size = message.ByteSizeLong();
    uint8_t length[kMaxVarint];
    const uint8_t* end = google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(size, length);
    buffer.append(reinterpret_cast<const char*>(length), static_cast<size_t>(end - length));
    const size_t offset = buffer.size();
    buffer.resize(offset + size);
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(buffer.data() + offset));
}

std::span<char> Decoder::prepare(size_t size) {
    const size_t kept = end_ - begin_;
    // Bytes are moved only when at least as many have been taken, and the buffer grows by doubling, so each byte is copied a bounded number
    // of times however small the pieces are.
    if (end_ + size > buffer_.size() && begin_ >= kept) {
        if (kept > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, kept);
        begin_ = 0;
        end_ = kept;
    }
    if (end_ + size > buffer_.size()) buffer_.resize(std::max(end_ + size, 2 * buffer_.size()));
    return std::span(buffer_).subspan(end_);
}

bool Decoder::next(google::protobuf::MessageLite& message) {
    const auto data = std::span<const char>(buffer_).subspan(begin_, end_ - begin_);
    const auto length = read_length(data);
    if (!length) return false;
    if (length->value > limit_) {
        throw FrameError("bad frame: a message of " + std::to_string(length->value) + " bytes is over the limit of " +
                         std::to_string(limit_));
    }
    if (data.size() - length->size < length->value) return false;
    if (!message.ParseFromArray(data.data() + length->size, static_cast<int>(length->value)))
        throw FrameError("bad frame: its " + std::to_string(length->value) + " bytes are not a message");
    begin_ += length->size + length->value;
    return true;
}

}  // namespace exeunit
