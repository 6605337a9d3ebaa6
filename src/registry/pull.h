#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "http/client.h"

namespace registry {

// Where an image can be downloaded.
struct ImageSource {
    std::string url;
    std::string sha3;       // 56 lower-case hex digits; empty where nobody said
    uint64_t size = 0;      // bytes; 0 where nobody said
    std::string tag;        // USER/REPOSITORY:TAG, where it was named so
    std::string file_name;  // for a file of one's own: letters, digits, -_. and no dot in front
};

// Finds an image by its tag, its hash (with or without "sha3:"), a URL, or a package as SDKs send it ("hash:sha3:HEX:URL"); the first two
// ask the registry at `registry_url`. Throws base::Error.
ImageSource resolve_image(const std::string& what, const std::string& registry_url, const http::Options& options = {});

// Downloads an image to `output`, which appears when it is whole and its SHA3-224 is right; returns that hash. Until then it grows in
// OUTPUT.<16 hex digits>.part, named after the image, from which a later call goes on; without a hash only where the server gives the file
// an ETag. A broken transfer is gone on with while it advances. `progress` takes bytes there and in all; it may throw. Throws base::Error:
// other lengths and hashes than were said, no length, no room on the disk.
std::string pull_image(
    const ImageSource& source, const std::filesystem::path& output,
    const std::function<void(uint64_t, uint64_t)>& progress = [](uint64_t, uint64_t) {}, const http::Options& options = {});

}  // namespace registry
