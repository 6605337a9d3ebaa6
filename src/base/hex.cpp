#include "base/hex.h"

#include <algorithm>

#include "base/error.h"

namespace base {

std::string to_hex(std::span<const std::byte> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * bytes.size());
    for (const std::byte byte : bytes) {
        text += kDigits[std::to_integer<size_t>(byte) >> 4];
        text += kDigits[std::to_integer<size_t>(byte) & 15];
    }
    return text;
}

bool is_hex(std::string_view text, size_t digits) {
    return text.size() == digits &&
           std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string from_hex(std::string_view hex, size_t size) {
    if (!is_hex(hex, size * 2)) throw Error("a hash is not " + std::to_string(size * 2) + " hex digits");
    const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string bytes;
    bytes.reserve(size);
    for (size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(value(hex[i]) << 4 | value(hex[i + 1]));
    return bytes;
}

}  // namespace base
