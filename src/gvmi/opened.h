#pragma once

#include <string>

#include "base/fd.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_reader.h"

namespace gvmi {

// A .gvmi whose squashfs is to be looked into. Throws base::Error.
struct Opened {
    explicit Opened(const std::string& path);

    std::string path;
    base::UniqueFd fd;
    Image image;
    SquashfsReader reader;
};

}  // namespace gvmi
