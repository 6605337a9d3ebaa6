#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace agent {

// Decides which of a guest's log lines reach ours: bursts of 100 and 5 a second, each cut to 1 KiB.
class LogFilter {
public:
    using Clock = std::chrono::steady_clock;

    // The line to log, with the number of lines dropped before it; nothing where the line itself is dropped.
    std::optional<std::string> pass(std::string_view text, Clock::time_point now);

private:
    double allowed_ = 100;
    Clock::time_point last_{};
    size_t left_out_ = 0;
};

}  // namespace agent
