#include "vm/console_tail.h"

#include <gtest/gtest.h>

namespace {

TEST(ConsoleTail, ReplacesWhatATerminalWouldObey) {
    vm::ConsoleTail tail;
    tail.append(
        "a\x1b[2Jb\r\nc\t\x07\x9b"
        "d\x7f\n");
    EXPECT_EQ(tail.text(), "a?[2Jb\nc\t??d?\n");
}

TEST(ConsoleTail, KeepsTheEndFromAWholeLineOn) {
    vm::ConsoleTail tail;
    for (int i = 0; i < 20000; i++)
        tail.append("line " + std::to_string(i) + "\n");
    const std::string text = tail.text();
    EXPECT_LE(text.size(), 16384U);
    EXPECT_GT(text.size(), 16000U);
    EXPECT_TRUE(text.starts_with("line 1")) << text.substr(0, 20);
    EXPECT_TRUE(text.ends_with("line 19999\n"));
}

TEST(ConsoleTail, KeepsALineThatNeverEnds) {
    vm::ConsoleTail tail;
    for (int i = 0; i < 1000; i++)
        tail.append(std::string(100, 'x'));
    EXPECT_EQ(tail.text(), std::string(16384, 'x'));
}

}  // namespace
