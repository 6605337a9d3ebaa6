#include "base/utf8.h"

namespace base {

Utf8Character first_character(std::string_view bytes) {
    if (bytes.empty()) return {};
    const auto byte_at = [bytes](size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char first = byte_at(0);
    if (first < 0x80) return {.length = 1, .code = first};
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.size() < length) return {};
    uint32_t code = first & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((byte_at(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte_at(i) & 0x3fU);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    if (code < kSmallest[length] || code > 0x10ffff || surrogate) return {};
    return {.length = length, .code = code};
}

}  // namespace base
