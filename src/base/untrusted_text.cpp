#include "base/untrusted_text.h"

#include <algorithm>
#include <cstdint>

namespace base {
namespace {

unsigned char byte_at(std::string_view bytes, size_t i) {
    return static_cast<unsigned char>(bytes[i]);
}

// The length of the UTF-8 character at the start; 0 where there is none, or one that may not be shown: a control character, a surrogate, an
// overlong encoding.
size_t character(std::string_view bytes) {
    const unsigned char first = byte_at(bytes, 0);
    if (first < 0x80) return first >= 0x20 && first < 0x7f ? 1 : 0;
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.size() < length) return 0;
    uint32_t code = first & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((byte_at(bytes, i) & 0xc0) != 0x80) return 0;
        code = code << 6 | (byte_at(bytes, i) & 0x3fU);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool control = code < 0xa0;
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    // Characters that change the direction of text can disguise a name.
    const bool direction = (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return code < kSmallest[length] || code > 0x10ffff || control || surrogate || direction ? 0 : length;
}

}  // namespace

std::string escape(std::string_view bytes) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string text;
    while (!bytes.empty()) {
        const size_t length = bytes.front() == '\\' ? 0 : character(bytes);
        if (length == 0) {
            text.append("\\x").append(1, kHex[byte_at(bytes, 0) >> 4]).append(1, kHex[byte_at(bytes, 0) & 15]);
        } else {
            text.append(bytes.substr(0, length));
        }
        bytes.remove_prefix(std::max<size_t>(length, 1));
    }
    return text;
}

std::string quote(std::string_view bytes) {
    constexpr size_t kMaxShown = 200;
    std::string text = "\"";
    text += escape(bytes.substr(0, kMaxShown));
    if (bytes.size() > kMaxShown) text += "…";
    text += "\"";
    return text;
}

std::string escape_line(std::string_view text) {
    constexpr size_t kLongest = 300;
    constexpr std::string_view kBlanks = " \t\r\n";
    text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
    std::string line(text.substr(0, kLongest));
    std::replace_if(
        line.begin(), line.end(), [kBlanks](char c) { return kBlanks.find(c) != std::string_view::npos; }, ' ');
    return escape(line) + (text.size() > kLongest ? "…" : "");
}

std::string printable(std::string_view text, size_t limit) {
    std::string result;
    while (!text.empty()) {
        const size_t length = character(text);
        if (result.size() + std::max<size_t>(length, 1) > limit) break;
        if (length > 0)
            result.append(text.substr(0, length));
        else
            result += '?';
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return result;
}

std::string printable_lines(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    for (const char c : bytes) {
        if (c == '\r') continue;
        text += (c >= ' ' && c <= '~') || c == '\n' || c == '\t' ? c : '?';
    }
    return text;
}

}  // namespace base
