#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "gvmi/image.h"

namespace gvmi {

// The image hash: the SHA3-224 of the whole file in 56 lower-case hex digits. `progress` is told the bytes read so far. Throws
// base::SystemError; `name` is the file's.
std::string image_hash(int fd, const std::string& name, const std::function<void(uint64_t)>& progress = {});
// Of an image that need not be a file.
std::string image_hash(const ReadAt& read, const std::function<void(uint64_t)>& progress = {});

}  // namespace gvmi
