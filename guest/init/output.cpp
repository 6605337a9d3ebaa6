#include "init/output.h"

#include <google/protobuf/io/coded_stream.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace init {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr size_t kMaxErrorText = 8 << 10;
constexpr size_t kMaxLogLine = 1 << 10;
constexpr size_t kMaxPending = 64 << 10;

// Only one piece is sent at a time, so one buffer serves all streams.
uint8_t buffer[kOutputHeaderRoom + kMaxPiece];
uint8_t* const data = buffer + kOutputHeaderRoom;

uint8_t* put(uint8_t* at, uint32_t tag, uint64_t value) {
    at = CodedOutputStream::WriteVarint32ToArray(tag, at);
    return CodedOutputStream::WriteVarint64ToArray(value, at);
}

constexpr uint32_t tag(int field, uint32_t wire_type) {
    return static_cast<uint32_t>(field) << 3 | wire_type;
}
constexpr uint32_t kVarint = 0;
constexpr uint32_t kBytes = 2;

}  // namespace

ssize_t read_piece(int pipe, uint64_t limit) {
    for (;;) {
        const ssize_t n = ::read(pipe, data, std::min<uint64_t>(limit, kMaxPiece));
        if (n >= 0 || errno != EINTR) return n;
    }
}

void send_piece(Port& port, uint64_t process, agent::Stream stream, size_t size) {
    // The message is written by hand so that its header ends where the data begins.
    uint8_t inner[kOutputHeaderRoom];
    uint8_t* end = put(inner, tag(agent::Output::kProcessFieldNumber, kVarint), process);
    if (stream != agent::STDOUT) end = put(end, tag(agent::Output::kStreamFieldNumber, kVarint), stream);
    end = put(end, tag(agent::Output::kDataFieldNumber, kBytes), size);
    const auto inner_size = static_cast<size_t>(end - inner);
    uint8_t outer[kOutputHeaderRoom];
    end = put(outer, tag(agent::Message::kOutputFieldNumber, kBytes), inner_size + size);
    const auto outer_size = static_cast<size_t>(end - outer);

    uint8_t* const begin = data - inner_size - outer_size - agent::kFrameHeaderBytes;
    auto* const frame = reinterpret_cast<char*>(begin);
    agent::put_frame_header(frame, static_cast<uint32_t>(outer_size + inner_size + size));
    std::memcpy(begin + agent::kFrameHeaderBytes, outer, outer_size);
    std::memcpy(begin + agent::kFrameHeaderBytes + outer_size, inner, inner_size);
    port.send(frame, agent::kFrameHeaderBytes + outer_size + inner_size + size);
}

void answer(Port& port, uint64_t request, const Status& status, agent::Reply reply) {
    agent::Message message;
    *message.mutable_reply() = std::move(reply);
    message.mutable_reply()->set_id(request);
    if (!status.ok()) {
        message.mutable_reply()->mutable_error()->set_code(status.code);
        message.mutable_reply()->mutable_error()->set_message(status.text.substr(0, kMaxErrorText));
    }
    port.send(message);
}

void log(Port& port, std::string_view text) {
    if (port.pending() > kMaxPending) return;
    agent::Message message;
    message.mutable_log()->set_text(std::string(text.substr(0, kMaxLogLine)));
    port.send(message);
}

}  // namespace init
