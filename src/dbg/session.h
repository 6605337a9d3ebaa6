#pragma once

#include "dbg/options.h"

namespace dbg {

// Deploys, starts, runs the command or the lines, and shuts the VM down. Output goes to standard output and error at once, byte for byte.
// Ctrl-C is SIGINT for the running command, Ctrl-\ is SIGKILL; SIGTERM and SIGHUP end the VM and the session.
//
// Returns the exit code of the (last) command, 128 + N where a signal ended the session. Throws base::Error where the image cannot be
// deployed, or the VM does not start or ends; the runtime's log is then on standard error. Call it from the main thread.
int run_session(const Options& options);

}  // namespace dbg
