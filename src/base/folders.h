#pragma once

#include <dirent.h>

#include <filesystem>
#include <memory>

#include "base/fd.h"

namespace base {

struct CloseFolder {
    void operator()(DIR* folder) const { ::closedir(folder); }
};
// A folder that is read by readdir(3).
using Folder = std::unique_ptr<DIR, CloseFolder>;

// Takes the descriptor of a folder. Null, with errno, where it is none.
Folder read_folder(UniqueFd fd);

// $XDG_CACHE_HOME, or $HOME/.cache; empty where neither is set.
std::filesystem::path user_cache_folder();

}  // namespace base
