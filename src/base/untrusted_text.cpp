#include "base/untrusted_text.h"

#include <algorithm>

#include "base/utf8.h"

namespace base {
namespace {

unsigned char byte_at(std::string_view bytes, size_t i) {
    return static_cast<unsigned char>(bytes[i]);
}

// The length of the UTF-8 character at the start; 0 where there is none, or a control character, which may not be shown.
size_t character(std::string_view bytes) {
    const auto [length, code] = first_character(bytes);
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    // Characters that change the direction of text can disguise a name.
    const bool direction = (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return control || direction ? 0 : length;
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
