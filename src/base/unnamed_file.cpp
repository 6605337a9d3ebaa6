#include "base/unnamed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace base {

UniqueFd open_unnamed(int folder, const char* path, mode_t mode) {
    return UniqueFd(::openat(folder, path, O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
}

UniqueFd temporary_file(const std::string& folder) {
    UniqueFd fd = open_unnamed(AT_FDCWD, folder.c_str(), 0600);
    if (fd) return fd;
    std::string name = folder + "/gvmkit.XXXXXX";
    fd = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd) throw_errno("cannot create a temporary file in ", folder);
    ::unlink(name.c_str());
    return fd;
}

bool link_unnamed(const UniqueFd& file, int folder, const char* name) {
    const std::string self = "/proc/self/fd/" + std::to_string(file.get());
    return ::linkat(AT_FDCWD, self.c_str(), folder, name, AT_SYMLINK_FOLLOW) == 0;
}

}  // namespace base
