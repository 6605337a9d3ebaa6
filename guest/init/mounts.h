#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "init/status.h"

namespace init {

struct Mount {
    std::string source;
    std::string type;
    unsigned long flags = 0;
    std::string options;
};

// Where the root gets the kernel's file systems; outer paths first.
std::vector<const char*> system_mount_points();

// Mounts onto a directory of the initramfs; makes the directory.
Status mount_at(const std::string& path, const Mount& mount);

// Mounts onto an open directory; `name` is its path in messages. Needs our own /proc.
Status mount_on(int directory, std::string_view name, const Mount& mount);

// /proc, /sys and /dev of the initramfs, which init itself uses.
Status mount_early();

// The new root's /proc, /sys, /dev and the mounts below them (docs/spec/guest.md, File systems), as in a Docker container.
Status mount_system(int root);

}  // namespace init
