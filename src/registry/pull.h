#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "http/client.h"
#include "registry/api.h"

namespace registry {

// Where an image can be downloaded.
struct ImageSource {
    std::string url;
    std::string sha3;       // 56 lower-case hex digits; empty where it is unknown
    uint64_t size = 0;      // bytes; 0 where it is unknown
    std::string tag;        // USER/REPOSITORY:TAG, where the image was requested by it
    std::string file_name;  // for a local file: letters, digits, -_. and no leading dot
};

// Resolves an image's tag, its hash (with or without "sha3:"), a URL, or a package as SDKs send it ("hash:sha3:HEX:URL"). For tags and
// hashes it asks the registry at `registry_url`, as `reader` for private ones. Throws base::Error.
ImageSource resolve_image(const std::string& what, const std::string& registry_url, const http::Options& options = {},
                          const Reader& reader = {});

// Downloads an image to `output`, which appears when it is complete and its SHA3-224 is right. Returns that hash. Until then it grows in
// OUTPUT.<16 hex digits>.part, named after the image; a later call resumes from there, without a known hash only where the server gives the
// file an ETag. A broken transfer is resumed as long as it advances. `progress` gets bytes done and in all; it may throw. Throws
// base::Error: an unexpected length or hash, no length, no room on the disk.
std::string pull_image(
    const ImageSource& source, const std::filesystem::path& output,
    const std::function<void(uint64_t, uint64_t)>& progress = [](uint64_t, uint64_t) {}, const http::Options& options = {});

}  // namespace registry
