#include "base/untrusted_text.h"

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
    EXPECT_EQ(base::escape("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // NOLINT(misc-misleading-bidirectional)
}

TEST(Printable, KeepsTextAndReplacesTheRest) {
    EXPECT_EQ(base::printable("plain text", 100), "plain text");
    EXPECT_EQ(base::printable("zażółć € \xf0\x9f\x98\x80", 100), "zażółć € \xf0\x9f\x98\x80");
    EXPECT_EQ(base::printable("a\x1b[31mb\r\n\t\x7f", 100), "a?[31mb????");
    EXPECT_EQ(base::printable(std::string("a\0b", 3), 100), "a?b");
    EXPECT_EQ(base::printable("\xc2\x9b"
                              "31m",
                              100),
              "??31m")
        << "the one-byte escape of the C1 controls";
    EXPECT_EQ(base::printable("\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82", 100), std::string(12, '?'));
}

TEST(Printable, CutsBetweenCharacters) {
    EXPECT_EQ(base::printable("abc", 2), "ab");
    EXPECT_EQ(base::printable("a€", 3), "a");
    EXPECT_EQ(base::printable("a€", 4), "a€");
}

TEST(Printable, ReplacesMarksOfDirection) {
    // NOLINTNEXTLINE(misc-misleading-bidirectional)
    EXPECT_EQ(base::printable("a\xe2\x80\xae"
                              "b",
                              100),
              "a???b");
}

TEST(PrintableLines, KeepsLinesAndTabs) {
    EXPECT_EQ(base::printable_lines("a\r\n\tb\x1b[m\xff"), "a\n\tb?[m?");
}

TEST(EscapeLine, IsOneLineOfBoundedLength) {
    EXPECT_EQ(base::escape_line("a\x1b[31m\nb\xc2\x9b\n"), "a\\x1b[31m b\\xc2\\x9b");
    EXPECT_EQ(base::escape_line(std::string(1000, 'x')).size(), 300 + std::string("…").size());
}

}  // namespace
