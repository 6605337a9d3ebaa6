#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "gvmi/squashfs_tree.h"

namespace gvmi {

struct Extracted {
    uint64_t entries = 0;
    uint64_t devices_left_out = 0;     // only root can make them
    uint64_t attributes_left_out = 0;  // forbidden by the file system or a lack of privileges
};

// Unpacks a directory of an image, or a single file, into `folder`, which is made, or must be empty. Nothing is written outside of it:
// every name is opened below its own folder's descriptor, and no symbolic link is followed. Only root sets owners; other users set no
// setuid bits. Throws base::Error; what was unpacked before stays.
Extracted extract(SquashfsReader& reader, const std::string& path, const File& start, const std::filesystem::path& folder,
                  const Limits& limits);

}  // namespace gvmi
