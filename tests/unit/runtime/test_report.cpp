#include "runtime/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/temporary_folder.h"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(Report, DescribesTheMachineAndItsSelfTest) {
    const base::TemporaryFolder root;
    for (const char* folder : {"etc", "proc/sys/kernel"})
        fs::create_directories(root.path() / folder);
    std::ofstream(root.path() / "etc/os-release") << "NAME=\"Some\"\nPRETTY_NAME=\"Some Linux 1\x1b[2J (one)\"\n";
    std::ofstream(root.path() / "proc/sys/kernel/osrelease") << "6.1.2-some\n";
    std::ofstream(root.path() / "proc/meminfo") << "MemTotal:       2048 kB\nMemAvailable:   1024 kB\n";
    runtime::Options options;
    options.qemu = GVMKIT_QEMU;
    const std::string passed = runtime::report({.root = root.path()}, options, {.took = std::chrono::milliseconds(1500)});
    EXPECT_THAT(passed, HasSubstr("\nsystem: Some Linux 1?[2J (one)\nkernel: 6.1.2-some\nCPU: "));
    EXPECT_THAT(passed, HasSubstr("\nCPU of a VM: host; max under emulation\nmemory: 2048 kB, available 1.0 MiB\n"));
    EXPECT_THAT(passed, HasSubstr("\n/dev/kvm: " + root.path().string() + "/dev/kvm is missing: "));
    EXPECT_THAT(passed, HasSubstr("\nQEMU: QEMU emulator version "));
    EXPECT_THAT(passed, HasSubstr("\nself-test: passed in 1.50 s\n"));
    options.qemu = "/nowhere";
    options.cpu = "Nehalem";
    const std::string failed = runtime::report({.root = root.path()}, options, {.failure = "no\nmemory"});
    EXPECT_THAT(failed, HasSubstr("\nQEMU: there is no QEMU /nowhere; --qemu takes a path or a name in PATH\n"));
    EXPECT_THAT(failed, HasSubstr("\nCPU of a VM: Nehalem\n"));
    EXPECT_THAT(failed, HasSubstr("\nself-test: failed: no"));
    fs::remove_all(root.path() / "etc");
    EXPECT_THAT(runtime::report({.root = root.path()}, options, {}), HasSubstr("\nsystem: unknown\n"));
}

TEST(Report, NamesNoUser) {
    const auto hidden = [](const char* text) { return runtime::without_names(text, "/home/al", "al"); };
    EXPECT_EQ(hidden("cannot open /home/al/x: not for user al; usermod -aG kvm al"),
              "cannot open ~/x: not for user USER; usermod -aG kvm USER");
    EXPECT_EQ(hidden("/home/alice, al-x, total, /home/al"), "/home/alice, al-x, total, ~");
    EXPECT_EQ(runtime::without_names("/x root", "/", "root"), "/x root");
    EXPECT_EQ(runtime::without_names("/x a", "", ""), "/x a");
}

}  // namespace
