#include "agent/log_filter.h"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using agent::LogFilter;

TEST(LogFilter, LimitsTheRateAndSaysHowManyWereLeftOut) {
    LogFilter filter;
    const LogFilter::Clock::time_point start = LogFilter::Clock::time_point() + 1h;
    int passed = 0;
    for (int i = 0; i < 1000; i++)
        passed += filter.pass("line", start) ? 1 : 0;
    EXPECT_EQ(passed, 100);
    EXPECT_FALSE(filter.pass("line", start + 100ms));
    EXPECT_EQ(filter.pass("line", start + 1s), "(901 lines left out) line");
    EXPECT_EQ(filter.pass("line", start + 1s), "line");
    EXPECT_EQ(filter.pass(std::string(5000, 'x'), start + 1h), std::string(1024, 'x'));
}

}  // namespace
