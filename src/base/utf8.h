#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace base {

// A character at the start of a text; a length of 0 where the bytes are no UTF-8 (RFC 3629: an overlong form, a surrogate, a cut sequence).
struct Utf8Character {
    size_t length = 0;  // bytes
    uint32_t code = 0;
};
Utf8Character first_character(std::string_view bytes);

}  // namespace base
