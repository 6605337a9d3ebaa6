#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"

namespace base {

struct CloseFolder {
    void operator()(DIR* folder) const { ::closedir(folder); }
};
// A folder that is read by readdir(3).
using Folder = std::unique_ptr<DIR, CloseFolder>;

// Takes the descriptor of a folder. Null, with errno, where it is none.
Folder read_folder(UniqueFd fd);

// The next entry of a folder that is neither "." nor ".."; nullptr at its end.
const dirent* next_entry(DIR* folder);

// The names in an open folder, sorted. The descriptor stays where it is. Throws SystemError.
std::vector<std::string> names_in(int folder);

// Gives the owner of a folder all rights to it (u+rwx), of the other bits it leaves those in `kept`, and returns it (O_PATH). None, with
// errno, where the name is no folder. It works by the descriptor, since whoever owns the folder above may put a symbolic link in its place
// at any moment, which fchmodat would follow. A mode that cannot be changed stays.
UniqueFd give_to_owner(int parent, const char* name, mode_t kept);

// Where the running program is.
std::filesystem::path program_folder();

// $XDG_CACHE_HOME, or $HOME/.cache; empty where neither is set.
std::filesystem::path user_cache_folder();

// $XDG_STATE_HOME, or $HOME/.local/state; empty where neither is set.
std::filesystem::path user_state_folder();

}  // namespace base
