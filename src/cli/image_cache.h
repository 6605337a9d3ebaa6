#pragma once

#include <filesystem>
#include <string>

#include "base/fd.h"

namespace cli {

struct CachedImage {
    std::filesystem::path path;  // the .gvmi
    base::UniqueFd in_use;       // keeps the file in the cache while it is open; none for a file that is not the cache's
};

// The .gvmi of whatever gvmkit-build takes: an archive, a layout, a root file system, a name, a folder with a Dockerfile. A .gvmi is used
// as it is. Else the image is converted into <cache>/gvmkit/images, unless it is there: a file is complete or absent, processes that want
// the same one convert it once, and beyond 10 GiB the least recently used ones that nobody runs are removed. Progress goes to stderr.
// Throws base::Error that names the image, also after SIGINT, SIGTERM and SIGHUP.
CachedImage cached_image(const std::string& image);

}  // namespace cli
