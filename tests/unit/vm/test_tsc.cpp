#include "vm/tsc.h"

#include <gtest/gtest.h>
#include <x86intrin.h>

#include <ctime>
#include <thread>

namespace {

// The counter, and the times between which it was read.
struct Reading {
    int64_t before;  // nanoseconds
    uint64_t ticks;
    int64_t after;
};

int64_t nanoseconds() {
    timespec time{};
    (void)::clock_gettime(CLOCK_MONOTONIC_RAW, &time);  // which nobody slews
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

Reading read_counter() {
    const int64_t before = nanoseconds();
    const uint64_t ticks = __rdtsc();
    return {before, ticks, nanoseconds()};
}

// Holds on a machine that interrupts the test at any place: the limits are as far apart as the interruptions were long.
TEST(Tsc, IsAsFastAsTheCounterCounts) {
    const Reading first = read_counter();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // a length of time to measure, not a condition
    const Reading last = read_counter();
    const auto ticks = static_cast<double>(last.ticks - first.ticks);
    const double slowest = ticks / (static_cast<double>(last.after - first.before) * 1e-6);
    const double fastest = ticks / (static_cast<double>(last.before - first.after) * 1e-6);
    const auto khz = static_cast<double>(vm::tsc_khz());
    EXPECT_GT(khz, slowest * 0.999);
    EXPECT_LT(khz, fastest * 1.001);
}

}  // namespace
