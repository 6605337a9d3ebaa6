#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class MessageLite;
}

// Frames of the agent channel: a length, 4 bytes little-endian, then that many bytes of protobuf. Without exceptions, for the guest's
// program too.
namespace agent {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 4;
inline constexpr size_t kMaxRequestBytes = 4 << 20;    // host to guest
inline constexpr size_t kMaxMessageBytes = 128 << 10;  // guest to host
inline constexpr size_t kMaxOutputBytes = 32 << 10;    // data in one Output
inline constexpr size_t kMaxInputBytes = 64 << 10;     // data in one Input
inline constexpr size_t kInputWindow = 256 << 10;      // bytes of Input for one process that it has not taken

// Writes the 4 bytes of a length.
void put_frame_header(char* header, uint32_t payload_bytes);

// Appends a message as a frame.
void append_frame(std::string& out, const google::protobuf::MessageLite& message);

// Takes bytes as they come and gives whole payloads. It holds at most one frame of the limit and one read.
class FrameDecoder {
public:
    enum class Found { frame, incomplete, too_long };

    explicit FrameDecoder(size_t limit) : limit_(limit) {}

    // Where the next `size` bytes may be read to; what `next` gave before is gone.
    std::span<char> prepare(size_t size);
    // Says that `size` bytes have been read there.
    void commit(size_t size) { end_ += size; }

    // `payload` stays valid until the next prepare. After too_long the stream is useless.
    Found next(std::string_view& payload);

private:
    size_t limit_;
    std::vector<char> buffer_;
    size_t begin_ = 0;  // what has not been taken yet is [begin_, end_)
    size_t end_ = 0;
};

}  // namespace agent
