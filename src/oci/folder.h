#pragma once

#include <filesystem>
#include <memory>

#include "oci/entries.h"

namespace oci {

// What is below a folder, and the folder itself (path "."), sorted by bytes; of hard links the first is the file. Holes stay holes.
// Symbolic links are never followed. Throws base::Error that names the file that cannot be read.
std::unique_ptr<Entries> open_folder(const std::filesystem::path& folder);

}  // namespace oci
