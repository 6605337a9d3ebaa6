#include "registry/server/rate_limit.h"

#include <gtest/gtest.h>

namespace registry::server {
namespace {

using namespace std::chrono_literals;

TEST(RateLimit, GivesAnHoursWorthAtOnceAndThenSlowly) {
    RateLimit limit(60);
    const RateLimit::Clock::time_point start{};
    for (int i = 0; i < 60; i++)
        EXPECT_EQ(limit.take("a", start), 0u) << i;
    EXPECT_EQ(limit.take("a", start), 60u);
    EXPECT_EQ(limit.take("a", start + 30s), 30u);
    EXPECT_EQ(limit.take("b", start), 0u);
    EXPECT_EQ(limit.take("a", start + 60s), 0u);
    EXPECT_EQ(limit.take("a", start + 60s), 60u);
    // Never more than an hour's worth.
    for (int i = 0; i < 60; i++)
        EXPECT_EQ(limit.take("a", start + 48h), 0u) << i;
    EXPECT_GT(limit.take("a", start + 48h), 0u);
}

TEST(RateLimit, RemembersSoManyClients) {
    RateLimit limit(1);
    const RateLimit::Clock::time_point start{};
    for (size_t i = 0; i < RateLimit::kMaxClients; i++)
        EXPECT_EQ(limit.take(std::to_string(i), start), 0u);
    // All others share one limit, until there is room again.
    EXPECT_EQ(limit.take("x", start), 0u);
    EXPECT_GT(limit.take("y", start), 0u);
    EXPECT_GT(limit.take("1", start), 0u);
    EXPECT_EQ(limit.take("y", start + 1h), 0u);
    EXPECT_EQ(limit.take("z", start + 1h), 0u);
}

}  // namespace
}  // namespace registry::server
