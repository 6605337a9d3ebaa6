#pragma once

namespace init {

// agent::CONNECT: joins stdin and stdout to a TCP port of the VM's loopback until the port's program sends no more. The end of stdin is
// passed on. Returns the exit code.
int connect_to(const char* port);

}  // namespace init
