#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace agent {

// What of a guest's log lines is worth a line in ours: 100 at once and 5 a second, each cut to 1 KiB.
class LogFilter {
public:
    using Clock = std::chrono::steady_clock;

    // The line to log, with a word on those left out before it; nothing when there were too many.
    std::optional<std::string> pass(std::string_view text, Clock::time_point now);

private:
    double allowed_ = 100;
    Clock::time_point last_{};
    size_t left_out_ = 0;
};

}  // namespace agent
