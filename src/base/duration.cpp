#include "base/duration.h"

#include <charconv>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace base {
namespace {

int64_t unit_seconds(std::string_view unit) {
    if (unit == "s") return 1;
    if (unit == "m") return 60;
    if (unit == "h") return 3600;
    if (unit == "d") return 86400;
    return 0;
}

}  // namespace

std::chrono::seconds parse_duration(std::string_view text) {
    constexpr int64_t kLongest = int64_t{3650} * 86400;
    const char* end = text.data() + text.size();
    int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    const int64_t unit = unit_seconds(std::string_view(stop, end));
    if (error != std::errc() || unit == 0 || number < 1 || number > kLongest / unit)
        throw Error("'" + std::string(text) + "' is not a time such as 30s, 90m, 12h or 7d, of at most ten years");
    return std::chrono::seconds(number * unit);
}

}  // namespace base
