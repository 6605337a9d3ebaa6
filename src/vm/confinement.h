#pragma once

#include <filesystem>
#include <vector>

#include "base/fd.h"

namespace vm {

// What a confined program may open by path. A folder includes everything below it; missing names are left out. Inherited descriptors stay
// usable.
struct Allowed {
    std::vector<std::filesystem::path> execute;     // files to read and execute
    std::vector<std::filesystem::path> read;        // files and folders to read
    std::vector<std::filesystem::path> read_write;  // folders in which files and folders, but no other types, may be made and changed
    std::vector<std::filesystem::path> devices;     // devices to read, write and control
};

// What a child does to itself before exec: no new privileges and, where the running kernel has it, Landlock (landlock(7)). Only `Allowed`
// can be opened, no TCP port bound or connected to, no abstract socket connected to and no signal sent outside.
class Confinement {
public:
    // Throws base::Error when the rules cannot be made. A kernel without Landlock is logged once.
    explicit Confinement(const Allowed& allowed);

    // In the child; async-signal-safe. Returns false with errno set.
    bool enter() const;

private:
    base::UniqueFd rules_;  // none: the kernel has no Landlock
};

}  // namespace vm
