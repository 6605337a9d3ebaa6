#pragma once

#include <sys/types.h>

#include "init/port.h"

namespace init {

// The most that is read and sent at once: with the headers of frame and message it just fits the 32 KiB that the port takes in one write.
inline constexpr size_t kOutputHeaderRoom = 64;
inline constexpr size_t kMaxPiece = agent::kMaxOutputBytes - kOutputHeaderRoom;

// Reads at most kMaxPiece bytes to where send_piece takes them from. Returns their number, 0 at the end of the file, -1 when none are
// there.
ssize_t read_piece(int pipe, uint64_t limit);

// Sends `size` of the bytes that read_piece has read as an Output message, without another copy.
void send_piece(Port& port, uint64_t process, agent::Stream stream, size_t size);

// Answers a request; `reply` is what it says beyond that.
void answer(Port& port, uint64_t request, const Status& status, agent::Reply reply = {});

// A line for the host's log; dropped while the host reads nothing.
void log(Port& port, std::string_view text);

}  // namespace init
