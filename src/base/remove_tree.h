#pragma once

#include <filesystem>

namespace base {

// Removes a file or a folder and everything in it. Does nothing where it does not exist. Made for trees that a guest has built: it follows
// no symlink, needs no permission bits, and uses constant stack, memory and descriptors however deep the tree. Throws base::SystemError.
void remove_tree(const std::filesystem::path& path);

}  // namespace base
