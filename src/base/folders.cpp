#include "base/folders.h"

#include <cstdlib>

namespace base {

std::filesystem::path user_cache_folder() {
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return cache;
    if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".cache";
    return {};
}

}  // namespace base
