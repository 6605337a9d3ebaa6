#pragma once

#include <filesystem>

namespace base {

// $XDG_CACHE_HOME, or $HOME/.cache; empty where neither is set.
std::filesystem::path user_cache_folder();

}  // namespace base
