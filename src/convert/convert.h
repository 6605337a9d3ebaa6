// Folder convert: merges an image's layers into one tree and writes it as a .gvmi. A first pass over the layers reads the headers. A second
// writes the data that is still in the tree, the base layers' first, while other threads compress. It also checks the digests of compressed
// layers; another thread checks those of plain ones. Memory grows with the number of entries, not with the bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "convert/budget.h"
#include "convert/digests.h"
#include "gvmi/compression.h"
#include "oci/image.h"

namespace convert {

struct Options {
    gvmi::Compression compression;
    Limits limits = {};
    unsigned workers = 1;  // threads that compress; the result does not depend on it
    std::function<void(uint64_t done, uint64_t total)> progress = [](uint64_t, uint64_t) {};  // bytes of blobs, both passes together
};

struct Summary {
    uint64_t inodes = 0;
    uint64_t data_bytes = 0;          // of files, holes included; hard links count once
    uint64_t file_bytes = 0;          // of the .gvmi
    uint64_t clamped_times = 0;       // before 1970 or after 2106
    uint64_t dropped_attributes = 0;  // POSIX ACLs and what else squashfs cannot hold
};

// Writes a .gvmi into the empty file `fd` (open for reading and writing; it stays the caller's), which messages call `name`. Throws
// base::Error; the file is then useless.
Summary convert(const oci::Image& image, const nlohmann::json& config, int fd, const std::string& name, const Options& options);

// Leaves to the caller to finish the digests of the image's layers. What was written is not to be used before.
Summary convert(const oci::Image& image, const nlohmann::json& config, int fd, const std::string& name, const Options& options,
                Digests& digests);

}  // namespace convert
