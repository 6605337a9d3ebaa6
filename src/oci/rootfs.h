#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "oci/files.h"
#include "oci/image.h"

namespace oci {

// A root file system that is a folder: an image of one layer with no configuration. Its id is made of all that is in it. Throws
// base::Error, also where a part of it cannot be read.
Image open_root_folder(const std::filesystem::path& folder);

// A flat tar of one (`docker export`), likewise; its id is the SHA-256 of the plain tar.
Image open_root_tar(const std::filesystem::path& tar);

// True when what is at the top of it looks like a root file system.
bool is_root_folder(const std::filesystem::path& folder);
bool is_root_tar(const Files& files);

}  // namespace oci
