#include "runtime/options.h"

#include "base/folders.h"

namespace runtime {

std::filesystem::path default_runtime_files() {
    return base::program_folder() / "runtime";
}

std::filesystem::path default_cache_dir() {
    const std::filesystem::path cache = base::user_cache_folder();
    return cache.empty() ? cache : cache / "gvmkit";
}

}  // namespace runtime
