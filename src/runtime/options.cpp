#include "runtime/options.h"

#include <cstdlib>

namespace runtime {

std::filesystem::path default_runtime_files() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "runtime";
}

std::filesystem::path default_cache_dir() {
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return std::filesystem::path(cache) / "gvmkit";
    if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".cache/gvmkit";
    return {};
}

}  // namespace runtime
