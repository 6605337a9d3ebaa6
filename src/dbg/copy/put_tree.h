#pragma once

#include <filesystem>

namespace dbg {

// Moves a complete file or folder to `target`, on the same file system, by renames. A file replaces what is no folder. A folder goes into a
// folder that exists: files there are replaced, others stay, and folders keep their mode and owner. Throws base::Error where a folder would
// replace a file or the reverse, before anything is moved. No symbolic link is followed, `target` included.
void put_tree(const std::filesystem::path& made, const std::filesystem::path& target);

}  // namespace dbg
