#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace thin {

struct MakeOptions {
    std::vector<std::string> urls;
    std::vector<uint32_t> first_reads = {};                                        // see gvmi::ThinTable
    std::function<void(uint64_t, uint64_t)> progress = [](uint64_t, uint64_t) {};  // bytes hashed, and in all; may throw
};

// Makes the thin image of a full one: OUTPUT appears when it is complete. Equal arguments give equal bytes. Returns the SHA3-224 of the
// full image. Throws base::Error, also where `full` is a thin image itself.
std::string make_thin(const std::filesystem::path& full, const std::filesystem::path& output, const MakeOptions& options);

}  // namespace thin
