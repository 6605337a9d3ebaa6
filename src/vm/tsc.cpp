#include "vm/tsc.h"

#include <x86intrin.h>

#include <ctime>

namespace vm {
namespace {

constexpr int64_t kShortest = 5'000'000;  // nanoseconds

struct Moment {
    int64_t nanoseconds;
    uint64_t ticks;
};

// The best of several pairs of readings: a pair during which this thread was interrupted would be off by that time.
Moment now() {
    Moment best{};
    int64_t best_took = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        timespec before{};
        timespec after{};
        (void)::clock_gettime(CLOCK_MONOTONIC_RAW, &before);
        const uint64_t ticks = __rdtsc();
        (void)::clock_gettime(CLOCK_MONOTONIC_RAW, &after);
        const auto nanoseconds = [](const timespec& time) { return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec; };
        const int64_t took = nanoseconds(after) - nanoseconds(before);
        if (took >= best_took) continue;
        best = {nanoseconds(before) + took / 2, ticks};
        best_took = took;
    }
    return best;
}

const Moment kLoaded = now();

}  // namespace

uint64_t tsc_khz() {
    Moment end = now();
    while (end.nanoseconds - kLoaded.nanoseconds < kShortest) {
        const timespec rest{0, static_cast<long>(kShortest - (end.nanoseconds - kLoaded.nanoseconds))};
        (void)::nanosleep(&rest, nullptr);
        end = now();
    }
    const auto milliseconds = static_cast<double>(end.nanoseconds - kLoaded.nanoseconds) * 1e-6;
    return static_cast<uint64_t>(static_cast<double>(end.ticks - kLoaded.ticks) / milliseconds);
}

}  // namespace vm
