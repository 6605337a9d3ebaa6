#include "base/rlimit.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace {

class Rlimit : public testing::Test {
protected:
    void SetUp() override { ASSERT_EQ(::getrlimit(RLIMIT_CORE, &before_), 0); }
    void TearDown() override { ASSERT_EQ(::setrlimit(RLIMIT_CORE, &before_), 0); }

    // Core dumps, for nothing else here depends on their limit.
    void set_soft(rlim_t soft) {
        const rlimit limit{soft, before_.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_CORE, &limit), 0);
    }
    static rlim_t soft() {
        rlimit limit{};
        EXPECT_EQ(::getrlimit(RLIMIT_CORE, &limit), 0);
        return limit.rlim_cur;
    }
    rlimit before_{};
};

TEST_F(Rlimit, IsRaisedToWhatIsWanted) {
    if (before_.rlim_max < 4096) GTEST_SKIP() << "the hard limit of core dumps is too low here to raise the soft one";
    set_soft(1024);
    EXPECT_EQ(base::raise_soft_limit(RLIMIT_CORE, 4096), 4096U);
    EXPECT_EQ(soft(), 4096U);
}

TEST_F(Rlimit, IsNeverLowered) {
    if (before_.rlim_max < 4096) GTEST_SKIP() << "the hard limit of core dumps is too low here to raise the soft one";
    set_soft(4096);
    EXPECT_EQ(base::raise_soft_limit(RLIMIT_CORE, 1024), 4096U);
    EXPECT_EQ(soft(), 4096U);
}

TEST_F(Rlimit, EndsAtTheHardLimit) {
    set_soft(0);
    EXPECT_EQ(base::raise_soft_limit(RLIMIT_CORE), before_.rlim_max);
    EXPECT_EQ(soft(), before_.rlim_max);
    EXPECT_EQ(base::hard_limit(RLIMIT_CORE), before_.rlim_max);
}

}  // namespace
