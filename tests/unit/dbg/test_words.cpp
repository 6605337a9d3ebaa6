#include "dbg/words.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace dbg {
namespace {

using testing::ElementsAre;

TEST(Words, SplitAtBlanks) {
    EXPECT_THAT(split_words("ls -l  /tmp\t x "), ElementsAre("ls", "-l", "/tmp", "x"));
    EXPECT_THAT(split_words(""), ElementsAre());
    EXPECT_THAT(split_words("  \t"), ElementsAre());
}

TEST(Words, QuotesKeepBlanksAndMayBePartOfAWord) {
    EXPECT_THAT(split_words("echo 'a  b' \"c d\" e'f'\"g\"h"), ElementsAre("echo", "a  b", "c d", "efgh"));
    EXPECT_THAT(split_words("'' \"\""), ElementsAre("", ""));
}

TEST(Words, BackslashesAsInPosix) {
    EXPECT_THAT(split_words(R"(a\ b \'c\" \\)"), ElementsAre("a b", "'c\"", "\\"));
    EXPECT_THAT(split_words(R"('a\b' "a\b" "\"\$\`\\")"), ElementsAre("a\\b", "a\\b", "\"$`\\"));
    EXPECT_THAT(split_words("end\\"), ElementsAre("end\\"));
}

TEST(Words, NothingIsExpanded) {
    EXPECT_THAT(split_words("echo $HOME * ~ # no comment; x|y"), ElementsAre("echo", "$HOME", "*", "~", "#", "no", "comment;", "x|y"));
}

TEST(Words, OpenQuotesAreErrors) {
    EXPECT_THROW(split_words("echo 'a"), base::Error);
    EXPECT_THROW(split_words("echo \"a\\\""), base::Error);
}

}  // namespace
}  // namespace dbg
