#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "dbg/vm_folder.h"

namespace dbg {

struct CopyOptions {
    bool owners = false;                        // keep owners, and on the host setuid, setgid and sticky bits
    bool follow = false;                        // where the source is a symbolic link, copy what it leads to
    uint64_t limit_bytes = uint64_t{64} << 30;  // of files that come out of the VM
};

struct Copied {
    uint64_t bytes = 0;         // of files
    std::string warnings = {};  // lines about what was left out, safe to show
};

// Both follow the rules of `docker cp` for names, folders and what exists. They throw base::Error that names the place, also after SIGINT,
// SIGTERM and SIGHUP and where the VM ends; see GuestProgram.

// From the VM to this machine. What comes is unpacked into a folder beside its place, or in the folder that it goes to, and renamed when it
// is complete; nothing of it is left otherwise. No device is made.
Copied copy_out(const Vm& vm, const std::string& source, const std::string& target, const CopyOptions& options);

// From this machine into the VM; `target` is absolute.
Copied copy_in(const std::string& source, const Vm& vm, const std::string& target, const CopyOptions& options);

}  // namespace dbg
