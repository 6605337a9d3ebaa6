#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "oci/tar_writer.h"

namespace dbg {

struct Packed {
    uint64_t bytes = 0;             // of files
    uint64_t sockets_left_out = 0;  // a tar holds none
};

// Writes `source` and everything below it as a tar whose entries are `name` and below it; with "." the content of a folder. Symbolic links
// are not followed, but the folder `source` is where `folder` says that it has to be one. Without `owners` all belongs to root. Throws
// base::Error that names the file, also where one changes its size meanwhile, and what the sink throws.
Packed pack(const std::filesystem::path& source, const std::string& name, bool folder, bool owners, oci::TarWriter::Sink sink);

}  // namespace dbg
