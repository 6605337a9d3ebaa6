#include "runtime/output_window.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

using runtime::output_window;
using runtime::StreamCredit;

TEST(OutputWindow, IsWideForFewAndNarrowForMany) {
    EXPECT_EQ(output_window(0), 1U << 20);
    EXPECT_EQ(output_window(2), 1U << 20);
    EXPECT_EQ(output_window(8), 1U << 20);
    EXPECT_EQ(output_window(16), 512U << 10);
    EXPECT_EQ(output_window(512), 16U << 10);
    EXPECT_EQ(output_window(5000), 16U << 10);
}

TEST(StreamCredit, SavesSmallAmountsUp) {
    StreamCredit credit(1000);
    EXPECT_EQ(credit.returned(100, 1000), 0U);
    EXPECT_EQ(credit.returned(25, 1000), 125U);
    EXPECT_EQ(credit.under_way(), 1000U);
}

TEST(StreamCredit, NarrowsWithTheWindowAndWidensAgain) {
    StreamCredit credit(1000);
    EXPECT_EQ(credit.returned(500, 400), 0U);
    EXPECT_EQ(credit.returned(200, 400), 100U);
    EXPECT_EQ(credit.returned(400, 400), 400U);
    EXPECT_EQ(credit.returned(400, 1000), 1000U);
}

// A stream always gets on: when all of its output has left, it is granted something.
TEST(StreamCredit, NeverStandsStill) {
    for (const uint32_t window : {16U << 10, 100U << 10, 1U << 20}) {
        for (const uint32_t granted : {1U, 16U << 10, 1U << 20}) {
            StreamCredit credit(granted);
            EXPECT_GT(credit.returned(granted, window), 0U);
        }
    }
}

// What the runtime may hold when 256 processes start one after another and all flood both streams while nobody reads.
TEST(StreamCredit, ManyProcessesStayBounded) {
    constexpr size_t kProcesses = 256;
    uint64_t all = 0;
    for (size_t n = 1; n <= kProcesses; n++)
        all += 2 * uint64_t{output_window(2 * n)};
    EXPECT_LT(all, 60U << 20);
}

}  // namespace
