#include "base/quote.h"

#include <gtest/gtest.h>

namespace {

TEST(Quote, MakesBytesSafeForATerminal) {
    EXPECT_EQ(base::quote("a b"), "\"a b\"");
    EXPECT_EQ(base::quote("\x1b[2J\n\xff"), "\"\\x1b[2J\\x0a\\xff\"");
    EXPECT_LT(base::quote(std::string(100000, 'x')).size(), 300u);
}

TEST(Quote, LeavesTextAsItIs) {
    EXPECT_EQ(base::escape("caf\u00e9 \u65e5\u672c \U0001F600"), "caf\u00e9 \u65e5\u672c \U0001F600");
    EXPECT_EQ(base::escape("a\\b"), "a\\x5cb");
}

TEST(Quote, EscapesWhatIsNotUtf8) {
    EXPECT_EQ(base::escape("\xc3"), "\\xc3");
    EXPECT_EQ(base::escape("\xc0\xaf"), "\\xc0\\xaf");
    EXPECT_EQ(base::escape("\xed\xa0\x80"), "\\xed\\xa0\\x80");
    EXPECT_EQ(base::escape("\xc2\x9b"), "\\xc2\\x9b");
    EXPECT_EQ(base::escape("\xe2\x80\xae"), "\\xe2\\x80\\xae");
}

}  // namespace
