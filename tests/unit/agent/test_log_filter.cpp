#include "agent/log_filter.h"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using agent::LogFilter;
using agent::printable;

TEST(Printable, KeepsTextAndReplacesTheRest) {
    EXPECT_EQ(printable("plain text", 100), "plain text");
    EXPECT_EQ(printable("zażółć € \xf0\x9f\x98\x80", 100), "zażółć € \xf0\x9f\x98\x80");
    EXPECT_EQ(printable("a\x1b[31mb\r\n\t\x7f", 100), "a?[31mb????");
    EXPECT_EQ(printable(std::string("a\0b", 3), 100), "a?b");
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m",
                        100),
              "??31m")
        << "the one-byte escape of the C1 controls";
    EXPECT_EQ(printable("\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82", 100), std::string(12, '?'));
}

TEST(Printable, CutsBetweenCharacters) {
    EXPECT_EQ(printable("abc", 2), "ab");
    EXPECT_EQ(printable("a€", 3), "a");
    EXPECT_EQ(printable("a€", 4), "a€");
}

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
