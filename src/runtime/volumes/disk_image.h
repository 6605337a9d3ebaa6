#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace runtime {

// Makes a sparse disk image of `bytes` with an empty ext4, without root; it appears at `path` when it is complete. Throws base::Error, also
// where it is smaller than 1 MiB or the host's disk is full. `errors` is what ext4 does on an error (tune2fs -e); empty: its default.
void make_disk_image(const std::filesystem::path& path, uint64_t bytes, const std::string& errors = {});

}  // namespace runtime
