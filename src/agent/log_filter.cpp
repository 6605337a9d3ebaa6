#include "agent/log_filter.h"

#include <algorithm>

#include "base/untrusted_text.h"

namespace agent {
namespace {

constexpr size_t kMaxLine = 1024;
constexpr double kBurst = 100;
constexpr double kPerSecond = 5;

}  // namespace

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
    line += base::printable(text, kMaxLine);
    left_out_ = 0;
    return line;
}

}  // namespace agent
