#include "base/folders.h"

#include <cstdlib>

namespace base {

Folder read_folder(UniqueFd fd) {
    Folder folder(::fdopendir(fd.get()));
    if (folder) (void)fd.release();
    return folder;
}

std::filesystem::path user_cache_folder() {
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return cache;
    if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".cache";
    return {};
}

}  // namespace base
