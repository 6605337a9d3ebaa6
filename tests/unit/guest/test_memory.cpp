#include "init/memory.h"

#include <gtest/gtest.h>

TEST(KilledProcess, IsTheNumberInTheKernelsLine) {
    EXPECT_EQ(init::killed_process("Out of memory: Killed process 123 (awk) total-vm:1kB, anon-rss:1kB"), 123);
    EXPECT_EQ(init::killed_process("Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB"), 7);
    EXPECT_EQ(init::killed_process("oom_reaper: reaped process 123 (awk)"), 0);
    EXPECT_EQ(init::killed_process("Killed process x"), 0);
    EXPECT_EQ(init::killed_process(""), 0);
}
