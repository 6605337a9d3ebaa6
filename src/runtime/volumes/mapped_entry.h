#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace runtime {

// The owner that the guest sees of what the host made: the image's User.
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

// Makes the two sides of one entry of a 9p share agree. QEMU's mapped-xattr model keeps the type, mode and owner that the guest sees in
// attributes of an ordinary file, whose mode on the host is 0600 (a folder's 0700). What the host makes has no such attributes.
//
// - The guest has set a mode: the host gets its rwx bits, never setuid, setgid or sticky.
// - The host made the entry or changed its mode: the guest sees that mode, and for a new entry the owner of the rules. A symbolic link is
// replaced by a file that is one for the guest.
// - Neither: nothing is written. An attribute that the guest neither sees nor can set keeps what was agreed last.
//
// QEMU is an ordinary user on most hosts and cannot open what its own mode forbids. So the owner's rw (of a folder: rwx) stay set while the
// entry is `in_use`, and at rest the owner's r (of a folder: rx), for the host's archivers. Works on what is under the name at one moment,
// and never follows or opens it. Throws base::SystemError.
Entry settle(int folder, const std::string& name, const EntryRules& rules);

}  // namespace runtime
