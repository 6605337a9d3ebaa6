#pragma once

#include <string>

#include "base/fd.h"
#include "base/subprocess.h"

namespace dbg::outbound {

// passt(1): connections of a VM as ordinary sockets of this machine, without privileges. It has no socket in the file system, runs as
// nobody where we are root, and ends when the other end of its socket is closed, however that happens.
struct Passt {
    base::Child child;
    base::UniqueFd frames;    // each after its length (4 bytes, big-endian)
    base::UniqueFd messages;  // what it writes to standard error
};

// Throws base::Error where there is no passt, with the package that has it.
std::string find_passt();

// Throws base::Error. Call it from the main thread.
Passt start_passt(const std::string& program);

// Why it ended, on one line; empty where it did not say.
std::string last_words(const Passt& passt);

}  // namespace dbg::outbound
