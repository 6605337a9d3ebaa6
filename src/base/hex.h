#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace base {

// Two lower-case hex digits for each byte.
std::string to_hex(std::span<const std::byte> bytes);

// Whether `text` is `digits` lower-case hex digits: of a SHA-256 64, of a SHA3-224 56.
bool is_hex(std::string_view text, size_t digits);

// The bytes of a hash that has `size` of them. Throws Error where `hex` is not its lower-case hex digits.
std::string from_hex(std::string_view hex, size_t size);

}  // namespace base
