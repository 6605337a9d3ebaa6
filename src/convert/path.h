#pragma once

#include <deque>
#include <string>
#include <string_view>

namespace convert {

// The names of a path in a tar: without "." and empty ones; absolute paths are taken from the image's root. ".." takes back the name before
// it, as tar programs of container engines do. Throws base::Error where it leads out of the root, and where the path is longer than
// PATH_MAX or a name longer than NAME_MAX allows, since nothing on Linux can make or name such a file.
std::deque<std::string> split_path(std::string_view path);

}  // namespace convert
