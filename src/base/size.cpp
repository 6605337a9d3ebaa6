#include "base/size.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace base {
namespace {

constexpr std::string_view kPrefixes = "kmgtp";
constexpr double kLimit = 9.2e18;  // below 2^63: sizes go to system calls that take a signed offset

std::string trimmed_lower(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (!std::isspace(static_cast<unsigned char>(c))) result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return result;
}

// The factor of a unit, 0 for one that is not known.
double unit_factor(std::string_view unit) {
    if (unit.empty() || unit == "b") return 1;
    const size_t power = kPrefixes.find(unit[0]);
    if (power == std::string_view::npos) return 0;
    const std::string_view rest = unit.substr(1);
    if (rest.empty() || rest == "b") return std::pow(1000.0, static_cast<double>(power + 1));
    if (rest == "i" || rest == "ib") return std::pow(1024.0, static_cast<double>(power + 1));
    return 0;
}

}  // namespace

uint64_t parse_size(std::string_view text) {
    const std::string plain = trimmed_lower(text);
    uint64_t whole = 0;
    const char* end = plain.data() + plain.size();
    // Without fraction and unit the number is exact; a double is not above 2^53.
    if (const auto [stop, error] = std::from_chars(plain.data(), end, whole);
        error == std::errc() && stop == end && static_cast<double>(whole) < kLimit)
        return whole;

    double number = 0;
    const auto [stop, error] = std::from_chars(plain.data(), end, number, std::chars_format::fixed);
    const double bytes = error == std::errc() ? number * unit_factor(std::string_view(stop, end)) : -1;
    const bool valid = error == std::errc() && plain[0] != '-' && unit_factor(std::string_view(stop, end)) > 0 && bytes < kLimit;
    if (!valid)
        throw Error("'" + std::string(text) + "' is not a size (a number of bytes, or a number with a unit such as 10.7 GB or 512 MiB)");
    return static_cast<uint64_t>(bytes);
}

uint64_t gib_to_bytes(double gib) {
    if (!(gib > 0) || gib * 1073741824.0 >= kLimit) throw Error("'" + std::to_string(gib) + "' is not a size in GiB");
    const uint64_t mib = static_cast<uint64_t>(gib * 1024);
    if (mib == 0) throw Error("'" + std::to_string(gib) + "' GiB is less than 1 MiB");
    return mib << 20;
}

std::string format_size(uint64_t bytes) {
    if (bytes < 1024) return std::to_string(bytes) + " B";
    double value = static_cast<double>(bytes);
    size_t power = 0;
    for (; value >= 1024 && power < kPrefixes.size(); power++)
        value /= 1024;
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.1f %ciB", value, std::toupper(kPrefixes[power - 1]));
    return text;
}

}  // namespace base
