#include "container/script.h"

#include <gtest/gtest.h>

namespace {

using container::parse_script_line;
using container::program_of_env;

TEST(ScriptLine, SplitsAsLinuxDoes) {
    EXPECT_EQ(parse_script_line("#!/bin/sh")->interpreter, "/bin/sh");
    EXPECT_EQ(parse_script_line("#! \t/bin/sh  -e -u \t\nexit\n")->interpreter, "/bin/sh");
    EXPECT_EQ(parse_script_line("#! \t/bin/sh  -e -u \t\nexit\n")->argument, "-e -u");
    EXPECT_EQ(parse_script_line("#!/bin/sh\r\n")->interpreter, "/bin/sh\r");
    EXPECT_EQ(parse_script_line("#!/usr/bin/env python3\r\n")->argument, "python3\r");
    EXPECT_EQ(parse_script_line(std::string("#!/bin/sh\0x\n", 12))->interpreter, "/bin/sh");
}

TEST(ScriptLine, IsNoneWhereLinuxRefuses) {
    EXPECT_FALSE(parse_script_line(""));
    EXPECT_FALSE(parse_script_line("# !/bin/sh\n"));
    EXPECT_FALSE(parse_script_line("#!\n/bin/sh\n"));
    EXPECT_FALSE(parse_script_line("#! \t \n"));
    EXPECT_FALSE(parse_script_line("#!/" + std::string(300, 'a') + "\n"));
    EXPECT_EQ(parse_script_line("#!/bin/sh " + std::string(300, 'a') + "\n")->argument, std::string(246, 'a'));
}

TEST(ProgramOfEnv, IsItsArgument) {
    EXPECT_EQ(program_of_env("python3"), "python3");
    EXPECT_EQ(program_of_env("python3 -u"), "python3 -u") << "one argument, as Linux gives it";
    EXPECT_EQ(program_of_env("python3\r"), "python3\r");
    EXPECT_EQ(program_of_env(""), "");
    EXPECT_EQ(program_of_env("A=b"), "");
    EXPECT_EQ(program_of_env("-i"), "");
}

TEST(ProgramOfEnv, IsAWordOfWhatItSplits) {
    EXPECT_EQ(program_of_env("-S python3 -u"), "python3");
    EXPECT_EQ(program_of_env("-Spython3 -u"), "python3");
    EXPECT_EQ(program_of_env("-vS python3"), "python3");
    EXPECT_EQ(program_of_env("--split-string=python3 -u"), "python3");
    EXPECT_EQ(program_of_env("-S -i A=b -u C -C /tmp python3 x"), "python3");
    EXPECT_EQ(program_of_env("-S -- -odd"), "-odd");
    EXPECT_EQ(program_of_env("-S A=b"), "");
}

}  // namespace
