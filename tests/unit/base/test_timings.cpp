#include "base/timings.h"

#include <gtest/gtest.h>

namespace {

TEST(Timings, NotesNothingUntilItIsTurnedOn) {
    base::Timings timings;
    timings.mark("nobody asked");
    EXPECT_FALSE(timings.on());
    EXPECT_TRUE(timings.steps().empty());
}

TEST(Timings, NotesMomentsInOrder) {
    const double before = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    base::Timings timings;
    timings.turn_on();
    timings.mark("one");
    timings.mark("two");
    EXPECT_GE(timings.began(), before);
    ASSERT_EQ(timings.steps().size(), 2U);
    EXPECT_EQ(timings.steps()[0].what, "one");
    EXPECT_GE(timings.steps()[0].at, 0);
    EXPECT_GE(timings.steps()[1].at, timings.steps()[0].at);
    timings.turn_off();
    timings.mark("three");
    EXPECT_EQ(timings.steps().size(), 2U);
}

}  // namespace
