#include "agent/log_filter.h"

#include <algorithm>
#include <cstdint>

namespace agent {
namespace {

constexpr size_t kMaxLine = 1024;
constexpr double kBurst = 100;
constexpr double kPerSecond = 5;

// The length of the well-formed, printable UTF-8 character at the beginning of `text`; 0 when there is none.
size_t character_length(std::string_view text) {
    const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
    if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
    const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
    if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
    uint32_t code = byte(0) & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
        code = code << 6 | (byte(i) & 0x3fU);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0xa0, 0x800, 0x10000};  // below 0xa0 are the C1 control characters
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code >= kSmallest[length] && code <= 0x10ffff && !surrogate ? length : 0;
}

}  // namespace

std::string printable(std::string_view text, size_t limit) {
    std::string result;
    while (!text.empty()) {
        const size_t length = character_length(text);
        if (result.size() + std::max<size_t>(length, 1) > limit) break;
        if (length > 0)
            result.append(text.substr(0, length));
        else
            result += '?';
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return result;
}

std::optional<std::string> LogFilter::pass(std::string_view text, Clock::time_point now) {
    const double seconds = std::chrono::duration<double>(now - last_).count();
    allowed_ = std::min(kBurst, allowed_ + kPerSecond * seconds);
    last_ = now;
    if (allowed_ < 1) {
        left_out_++;
        return std::nullopt;
    }
    allowed_ -= 1;
    std::string line;
    if (left_out_ > 0) line.append("(").append(std::to_string(left_out_)).append(" lines left out) ");
    line += printable(text, kMaxLine);
    left_out_ = 0;
    return line;
}

}  // namespace agent
