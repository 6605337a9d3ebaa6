#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace cli {

// A progress line on the terminal: the bytes transferred, the rate over the last seconds, and the time left at that rate. Prints nothing
// where stderr is no terminal; the destructor clears the line.
class TransferProgress {
public:
    TransferProgress(std::string what, bool wanted);
    TransferProgress(const TransferProgress&) = delete;
    TransferProgress& operator=(const TransferProgress&) = delete;
    ~TransferProgress();

    void show(uint64_t done, uint64_t total);

private:
    struct Sample {
        std::chrono::steady_clock::time_point time;
        uint64_t done;
    };

    std::string what_;
    bool shown_;
    bool drawn_ = false;
    std::deque<Sample> samples_;
};

// "12.3 MiB/s, 0:42 left" at `bytes` in `seconds` with `left` bytes to go; empty where nothing moved.
std::string rate_text(uint64_t bytes, double seconds, uint64_t left);

}  // namespace cli
