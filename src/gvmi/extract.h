#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "gvmi/squashfs_tree.h"

namespace gvmi {

struct Extracted {
    uint64_t entries = 0;
    uint64_t devices_left_out = 0;     // only root may make them
    uint64_t attributes_left_out = 0;  // that the file system or the lack of privileges forbids
};

// Unpacks a directory of an image, or a single file, into `folder`, which is made and must be empty if it is there. Nothing is written
// outside of it: every name is opened below its own folder's descriptor, and no symbolic link is followed. Owners are set by root only;
// others get no setuid bits. Throws base::Error; what was unpacked until then stays.
Extracted extract(SquashfsReader& reader, const std::string& path, const File& start, const std::filesystem::path& folder,
                  const Limits& limits);

}  // namespace gvmi
