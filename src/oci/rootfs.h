#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "oci/files.h"
#include "oci/image.h"

namespace oci {

// A folder with a root file system, as an image of one layer without a configuration. Its id depends on everything in it. Throws
// base::Error, also where a part of it cannot be read.
Image open_root_folder(const std::filesystem::path& folder);

// A flat tar of a root file system (`docker export`) as such an image; its id is the SHA-256 of the uncompressed tar.
Image open_root_tar(const std::filesystem::path& tar, uint64_t limit);

// Whether the top level looks like a root file system.
bool is_root_folder(const std::filesystem::path& folder);
bool is_root_tar(const Files& files);

}  // namespace oci
