#include "cli/transfer_progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <utility>

#include "base/size.h"

namespace cli {

using namespace std::chrono_literals;

TransferProgress::TransferProgress(std::string what, bool wanted)
    : what_(std::move(what)), shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}

TransferProgress::~TransferProgress() {
    if (drawn_) (void)std::fputs("\r\x1b[K", stderr);
}

void TransferProgress::show(uint64_t done, uint64_t total) {
    constexpr auto kInterval = 200ms;
    constexpr auto kWindow = 5s;
    if (!shown_) return;
    const auto now = std::chrono::steady_clock::now();
    if (!samples_.empty() && now - samples_.back().time < kInterval) return;
    samples_.push_back({now, done});
    while (samples_.size() > 2 && now - samples_[1].time > kWindow)
        samples_.pop_front();
    const Sample& first = samples_.front();
    // Bytes that were there before a break took no time.
    const uint64_t moved = done > first.done ? done - first.done : 0;
    const std::string rate = rate_text(moved, std::chrono::duration<double>(now - first.time).count(), total - done);
    const unsigned percent = total == 0 ? 100 : static_cast<unsigned>(100 * static_cast<double>(done) / static_cast<double>(total));
    // Without the terminal's wrapping: what does not fit on the line would begin a new one each time.
    (void)std::fprintf(stderr, "\x1b[?7l\r%s: %u %% of %s%s%s\x1b[K\x1b[?7h", what_.c_str(), percent, base::format_size(total).c_str(),
                       rate.empty() ? "" : ", ", rate.c_str());
    drawn_ = true;
}

std::string rate_text(uint64_t bytes, double seconds, uint64_t left) {
    if (bytes == 0 || seconds <= 0) return {};
    const double rate = static_cast<double>(bytes) / seconds;
    const double wait = static_cast<double>(left) / rate;
    constexpr double kDay = 86400;
    if (wait > kDay) return base::format_size(static_cast<uint64_t>(rate)) + "/s, more than a day left";
    const auto whole = static_cast<unsigned>(std::lround(wait));
    char time[32];
    if (whole >= 3600) {
        (void)std::snprintf(time, sizeof time, "%u:%02u:%02u", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
        (void)std::snprintf(time, sizeof time, "%u:%02u", whole / 60, whole % 60);
    }
    return base::format_size(static_cast<uint64_t>(rate)) + "/s, " + time + " left";
}

}  // namespace cli
