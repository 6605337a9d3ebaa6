#pragma once

#include <filesystem>
#include <memory>

#include "oci/entries.h"

namespace oci {

// A folder (path ".") and everything below it, sorted by bytes; of hard links the first is the file. Holes stay holes. Symbolic links are
// never followed. Throws base::Error that names the unreadable file.
std::unique_ptr<Entries> open_folder(const std::filesystem::path& folder);

// A file, or anything else that is no folder, as the one entry ".". A symbolic link is not followed. Throws like open_folder.
std::unique_ptr<Entries> open_one_file(const std::filesystem::path& file);

}  // namespace oci
