#pragma once

namespace init {

// argv[0] of the process that is agent::CONNECT: init's own program, started a second time.
inline constexpr const char* kConnect = "connect";

// Joins stdin and stdout to a TCP port of the VM's loopback until the port's program sends no more. The end of stdin is passed on. Returns
// the exit code.
int connect_to(const char* port);

}  // namespace init
