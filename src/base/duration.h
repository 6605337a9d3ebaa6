#pragma once

#include <chrono>
#include <string_view>

namespace base {

// Whole seconds, minutes, hours or days: "30s", "90m", "12h", "7d"; at most ten years. Throws Error that names the text.
std::chrono::seconds parse_duration(std::string_view text);

}  // namespace base
