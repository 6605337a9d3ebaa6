#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_reader.h"
#include "gvmi/thin_table.h"
#include "thin/blocks.h"

namespace thin {

// An open .gvmi with a reader for its squashfs, for the tools of a person, who may fetch from any address. Of a thin image it is the full
// one, which is fetched as it is read. Throws base::Error.
struct Opened {
    explicit Opened(const std::string& path);

    std::string path;
    base::UniqueFd fd;                     // of the file itself
    std::optional<gvmi::ThinTable> table;  // of a thin image
    std::unique_ptr<BlockCache> cache;     // of a thin image, where there is a folder for it
    std::unique_ptr<Blocks> blocks;        // of a thin image
    gvmi::ReadAt read;                     // of the full image
    uint64_t size;                         // of the full image, bytes
    gvmi::Image image;                     // the full image
    gvmi::SquashfsReader reader;
};

}  // namespace thin
