#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "gvmi/squashfs_tree.h"

namespace gvmi {

struct Extracted {
    uint64_t entries = 0;
    uint64_t devices_left_out = 0;     // only root can make them, and only with `special`
    uint64_t set_ids_left_out = 0;     // files whose setuid and setgid bits were left out without `special`
    uint64_t attributes_left_out = 0;  // forbidden by the file system or a lack of privileges
};

// Unpacks a directory of an image, or a single file, into `folder`, which is made, or must be empty and our user's. Nobody else gets into
// it before it is complete (mode 0700), and nothing is written outside of it: every name is opened below its own folder's descriptor, no
// symbolic link is followed, and owner, mode and attributes are set on what was opened. Only root sets owners. Device files, and setuid and
// setgid bits, are made with `special` alone. Throws base::Error; what was unpacked before stays.
Extracted extract(SquashfsReader& reader, const std::string& path, const File& start, const std::filesystem::path& folder,
                  const Limits& limits, bool special = false);

}  // namespace gvmi
