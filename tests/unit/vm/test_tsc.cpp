#include "vm/tsc.h"

#include <gtest/gtest.h>
#include <x86intrin.h>

#include <chrono>
#include <cmath>
#include <thread>

namespace {

TEST(Tsc, IsAsFastAsTheCounterCounts) {
    const auto begin = std::chrono::steady_clock::now();
    const uint64_t first = __rdtsc();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // a length of time to measure, not a condition
    const uint64_t last = __rdtsc();
    const double milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    const double khz = static_cast<double>(last - first) / milliseconds;
    EXPECT_NEAR(static_cast<double>(vm::tsc_khz()), khz, khz * 0.001);
}

}  // namespace
