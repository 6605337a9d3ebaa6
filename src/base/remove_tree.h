#pragma once

#include <filesystem>

namespace base {

// Removes a file or a folder with all that is in it; nothing happens where it does not exist. For trees that a guest has made: it follows
// no symlink, needs no permission bits, and neither stack, memory nor descriptors grow with the depth. Throws base::SystemError.
void remove_tree(const std::filesystem::path& path);

}  // namespace base
