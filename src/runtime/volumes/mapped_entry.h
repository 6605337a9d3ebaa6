#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace runtime {

// Whom the guest sees as the owner of what the host made: the image's User.
struct GuestOwner {
    uint32_t uid = 0;
    uint32_t gid = 0;
};

struct EntryRules {
    GuestOwner owner;
    int staging = -1;    // a folder on the share's file system that no guest sees
    bool in_use = true;  // the guest may open it at any moment
};

// What was found under a name.
struct Entry {
    enum class Kind { gone, folder, other };
    Kind kind = Kind::gone;
    bool narrow = false;  // the guest's bits would keep QEMU from opening it
    ino_t inode = 0;
    base::UniqueFd folder = {};  // O_PATH
};

// Brings the two sides of one entry of a 9p share into agreement. QEMU's mapped-xattr model keeps type, mode and owner that the guest sees
// in attributes of an ordinary file whose mode on the host is 0600 (of a folder 0700); what the host makes has no such attributes.
//
// - The guest has set a mode: its rwx bits become the host's, never setuid, setgid or sticky.
// - The host made it, or has changed its mode: the guest sees that mode, and of what is new the owner of the rules. A symbolic link is
//   replaced by a file that is one for the guest.
// - Neither: nothing is written. What was agreed last is kept in an attribute that the guest neither sees nor can set.
//
// QEMU is an ordinary user on most hosts and cannot open what its own mode forbids; so the owner's rw (of a folder: rwx) stay set while the
// entry is `in_use`. At rest the owner's r (of a folder: rx) do, for the host's archivers. Works on what is under the name at one moment,
// and never follows or opens it. Throws base::SystemError.
Entry settle(int folder, const std::string& name, const EntryRules& rules);

}  // namespace runtime
