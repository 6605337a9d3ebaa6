#pragma once

#include <deque>
#include <string>
#include <string_view>

namespace convert {

// The names of a path in a tar, without "." and empty ones; an absolute path starts at the image's root. ".." removes the name before it,
// as in container engines' tar programs. Throws base::Error where it leads out of the root, or where the path exceeds PATH_MAX or a name
// NAME_MAX, since nothing on Linux can make or name such a file.
std::deque<std::string> split_path(std::string_view path);

}  // namespace convert
