#include "runtime/options.h"

#include "base/folders.h"

namespace runtime {

std::filesystem::path default_runtime_files() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "runtime";
}

std::filesystem::path default_cache_dir() {
    const std::filesystem::path cache = base::user_cache_folder();
    return cache.empty() ? cache : cache / "gvmkit";
}

}  // namespace runtime
