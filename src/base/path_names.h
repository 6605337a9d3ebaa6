#pragma once

#include <deque>
#include <string>
#include <string_view>

namespace base {

// The names of a path in order: without "." and empty ones, ".." kept.
std::deque<std::string> path_names(std::string_view path);

}  // namespace base
