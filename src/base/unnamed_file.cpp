#include "base/unnamed_file.h"

#include <fcntl.h>

#include <string>

namespace base {

UniqueFd open_unnamed(int folder, const char* path, mode_t mode) {
    return UniqueFd(::openat(folder, path, O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
}

bool link_unnamed(const UniqueFd& file, int folder, const char* name) {
    const std::string self = "/proc/self/fd/" + std::to_string(file.get());
    return ::linkat(AT_FDCWD, self.c_str(), folder, name, AT_SYMLINK_FOLLOW) == 0;
}

}  // namespace base
