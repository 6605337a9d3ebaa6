// Folder exeunit: the protobuf pipe between a supervisor and a runtime (docs/spec/exe-unit.md, "start: the pipe"): its messages
// (ya_runtime_api.proto), the frames they travel in, the runtime's end (Server) and the supervisor's (Client). It knows nothing of VMs.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace exeunit {

// The largest message that either end takes, in bytes. A command line holds at most 2 MiB of arguments, an event 32 KiB of output.
constexpr size_t kMaxMessage = 16 << 20;

// Bytes that either end reads from the pipe at once.
constexpr size_t kReadSize = 64 << 10;

// The bytes are no frame or hold no message; nothing after them can be trusted.
class FrameError : public base::Error {
public:
    using base::Error::Error;
};

// Appends one frame: the message's length as a protobuf varint, then the message.
void append_frame(std::string& buffer, const google::protobuf::MessageLite& message);

// Takes a stream of frames apart, in pieces as they arrive. Its memory stays below four times `limit` and what one `prepare` asks for.
class Decoder {
public:
    // `limit` is the largest message accepted, in bytes.
    explicit Decoder(size_t limit = kMaxMessage) : limit_(limit) {}

    // Room for at least `size` bytes of the stream, valid until the next call. `commit` says how many were put there.
    std::span<char> prepare(size_t size);
    void commit(size_t size) { end_ += size; }

    // Takes the next whole message; false when more bytes are needed. Throws FrameError; not to be used after that.
    bool next(google::protobuf::MessageLite& message);

    // Whether the stream ends between two frames, as it does when the other end closes it properly.
    bool at_frame_end() const { return begin_ == end_; }

private:
    size_t limit_;
    std::vector<char> buffer_;
    size_t begin_ = 0;  // of the data not taken yet
    size_t end_ = 0;
};

}  // namespace exeunit
