#pragma once

#include <cstdint>
#include <filesystem>

namespace runtime {

// Makes a sparse disk image of `bytes` with an empty ext4 in it, without root; it appears at `path` when it is whole. Throws base::Error,
// also where it is smaller than 1 MiB or the host's disk is full.
void make_scratch(const std::filesystem::path& path, uint64_t bytes);

}  // namespace runtime
