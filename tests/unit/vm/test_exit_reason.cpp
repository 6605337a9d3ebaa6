#include "vm/exit_reason.h"

#include <gtest/gtest.h>

#include <csignal>

namespace {

int exited(int code) {
    return code << 8;
}

std::string reason(int wait_status, const std::string& console, const std::string& errors) {
    return vm::describe_exit(wait_status, console, errors).reason;
}

TEST(ExitReason, NamesTheSignal) {
    EXPECT_EQ(reason(SIGKILL, "", ""), "QEMU was killed by signal 9 (perhaps the host is out of memory)");
    EXPECT_EQ(reason(SIGSYS, "", ""), "QEMU was killed by its sandbox (signal 31): it made a system call that is forbidden to it");
    EXPECT_EQ(reason(SIGABRT, "", "qemu-system-x86_64: x.c:1: f: Assertion `a' failed.\n"),
              "QEMU was killed by signal 6: x.c:1: f: Assertion `a' failed.");
    EXPECT_EQ(vm::describe_exit(SIGSEGV, "", "").code, 139);
}

TEST(ExitReason, QuotesThePanicThoughTheExitCodeIsNought) {
    EXPECT_EQ(reason(exited(0), "[ 0.1] Kernel panic - not syncing: No working init found.\n[ 0.2] CPU: 0\n", ""),
              "the guest's kernel panicked: No working init found.");
    EXPECT_EQ(reason(exited(0), "all is well\n", ""), "the guest stopped the VM");
}

TEST(ExitReason, QuotesQemusOwnError) {
    EXPECT_EQ(reason(exited(1), "", "qemu-system-x86_64: -m 1M: bad\nEAX=1 EBX=2\n\n"), "QEMU: -m 1M: bad");
    EXPECT_EQ(reason(exited(1), "", "qemu: linux kernel too old\n"), "QEMU: qemu: linux kernel too old");
    EXPECT_EQ(reason(exited(3), "", ""), "QEMU ended with exit code 3");
    EXPECT_EQ(reason(exited(1), "", "qemu-system-x86_64: cannot set up guest memory 'memory': Cannot allocate memory\n"),
              "the host has not enough memory for the VM: cannot set up guest memory 'memory': Cannot allocate memory");
}

TEST(ExitReason, CarriesTheLastLinesOfBoth) {
    EXPECT_EQ(vm::describe_exit(exited(0), "console", "errors\n").last_lines, "console\nerrors\n");
}

}  // namespace
