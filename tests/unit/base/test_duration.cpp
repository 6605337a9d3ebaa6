#include "base/duration.h"

#include <gtest/gtest.h>

#include "base/error.h"

TEST(ParseDuration, TakesEveryUnit) {
    using namespace std::chrono_literals;
    EXPECT_EQ(base::parse_duration("30s"), 30s);
    EXPECT_EQ(base::parse_duration("90m"), 90min);
    EXPECT_EQ(base::parse_duration("12h"), 12h);
    EXPECT_EQ(base::parse_duration("7d"), 168h);
    EXPECT_EQ(base::parse_duration("3650d"), 87600h);
}

TEST(ParseDuration, RefusesWhatIsNoTime) {
    for (const char* text :
         {"", "h", "0s", "-1h", "1", "1.5h", "1 h", "1w", "1hh", "3651d", "99999999999999999999s", "9223372036854775807d"})
        EXPECT_THROW(base::parse_duration(text), base::Error) << text;
}
