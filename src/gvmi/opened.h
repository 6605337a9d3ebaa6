#pragma once

#include <string>

#include "base/fd.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_reader.h"

namespace gvmi {

// An open .gvmi with a reader for its squashfs. Throws base::Error.
struct Opened {
    explicit Opened(const std::string& path);

    std::string path;
    base::UniqueFd fd;
    Image image;
    SquashfsReader reader;
};

}  // namespace gvmi
