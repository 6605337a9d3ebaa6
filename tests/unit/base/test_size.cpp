#include "base/size.h"

#include <gtest/gtest.h>

#include "base/error.h"

TEST(ParseSize, TakesEveryUnit) {
    EXPECT_EQ(base::parse_size("4096"), 4096u);
    EXPECT_EQ(base::parse_size("9007199254740993"), 9007199254740993u);  // not exact as a double
    EXPECT_EQ(base::parse_size("1k"), 1000u);
    EXPECT_EQ(base::parse_size("1 KiB"), 1024u);
    EXPECT_EQ(base::parse_size("2Mi"), 2u << 20);
    EXPECT_EQ(base::parse_size("10.7 GB"), 10700000000u);
    EXPECT_EQ(base::parse_size(" 1.5 gib "), 1610612736u);
    EXPECT_EQ(base::parse_size("1pib"), 1ull << 50);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
    for (const char* text : {"", "GB", "1.2.3", "1 XB", "-1", "-1k", "1e3", "nan", "inf", "99999999999999999999", "9e9p", "1 kib b"}) {
        EXPECT_THROW(base::parse_size(text), base::Error) << text;
    }
}

TEST(GibToBytes, RoundsDownToMebibytes) {
    EXPECT_EQ(base::gib_to_bytes(0.25), 256u << 20);
    EXPECT_EQ(base::gib_to_bytes(0.0015), 1u << 20);
    EXPECT_THROW(base::gib_to_bytes(0), base::Error);
    EXPECT_THROW(base::gib_to_bytes(-1), base::Error);
    EXPECT_THROW(base::gib_to_bytes(1e12), base::Error);
}

TEST(FormatSize, UsesBinaryUnits) {
    EXPECT_EQ(base::format_size(17), "17 B");
    EXPECT_EQ(base::format_size(1536), "1.5 KiB");
    EXPECT_EQ(base::format_size(3ull << 30), "3.0 GiB");
}
