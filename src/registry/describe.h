#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "registry/descriptor.h"

namespace registry {

// The descriptor of an image that is open as `fd` (messages call it `name`), computed by two threads. `chunk_size` 0: chunk_size_for.
// `progress` gets bytes done and in all; it may throw. Throws base::Error where the image is empty, no file, or has more than kMaxChunks
// chunks of that size.
Descriptor compute_descriptor(int fd, const std::string& name, uint64_t chunk_size,
                              const std::function<void(uint64_t, uint64_t)>& progress);

// An image and the descriptor next to it.
struct DescribedImage {
    std::filesystem::path image;
    std::filesystem::path descriptor_path;  // IMAGE.descr.bin
    Descriptor descriptor;
    std::string descriptor_hash;  // SHA-256 of its bytes: names the upload
};

// The descriptor next to `image`: the existing one, if it is not older than the image and fits its size and the chunk size; else a new one:
// `known`, or what compute_descriptor makes. `say` gets the lines that `gvmkit-build` 0.3 prints, which scripts look for. Throws
// base::Error.
DescribedImage load_or_compute_descriptor(const std::filesystem::path& image, uint64_t chunk_size,
                                          const std::function<void(const std::string&)>& say,
                                          const std::function<void(uint64_t, uint64_t)>& progress,
                                          const std::optional<Descriptor>& known = {});

}  // namespace registry
