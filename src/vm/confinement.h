#pragma once

#include <filesystem>
#include <vector>

#include "base/fd.h"

namespace vm {

// What a confined program may open by path; folders with all that is below them, names that do not exist are left out. Descriptors that it
// inherits stay as they are.
struct Allowed {
    std::vector<std::filesystem::path> execute;     // files to read and execute
    std::vector<std::filesystem::path> read;        // files and folders to read
    std::vector<std::filesystem::path> read_write;  // folders in which files and folders may be made and changed, but nothing else made
    std::vector<std::filesystem::path> devices;     // devices to read, write and control
};

// What a child does to itself before exec: no new privileges, and Landlock (landlock(7)) where the kernel has it, for which it is asked at
// run time: only `Allowed` is opened, no TCP port bound or connected to, no abstract socket connected to and no signal sent outside.
class Confinement {
public:
    // Throws base::Error when the rules cannot be made. A kernel without Landlock is logged once.
    explicit Confinement(const Allowed& allowed);

    // In the child; async-signal-safe. False: errno says why.
    bool enter() const;

private:
    base::UniqueFd rules_;  // none: the kernel has no Landlock
};

}  // namespace vm
