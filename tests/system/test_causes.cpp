// What `test` and `offer-template` report when something is wrong: for each cause the message, with a real fault where that is possible
// here. What this machine cannot be (a VM of VirtualBox, a CPU without VT-x, a container) is covered by unit.runtime_host, test_host.cpp
// and test_kvm.cpp, with a /proc and CPUID of their own.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

// /dev with what a container has of it, in the mount namespace that this runs in; then argv as an ordinary user.
constexpr const char* kWithoutKvm = R"(set -e
mount --make-rprivate /
dev=$1; shift
mount -t tmpfs tmpfs "$dev"
for name in null zero full random urandom tty; do touch "$dev/$name"; mount --bind "/dev/$name" "$dev/$name"; done
mount --move "$dev" /dev
exec "$@")";

class Causes : public SystemTest {
protected:
    // An installation of the test's own, which users other than root can use too.
    void SetUp() override {
        SystemTest::SetUp();
        std::string name = fs::temp_directory_path() / "causes-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        fs::permissions(folder_, fs::perms::all);
        fs::create_directory(folder_ / "runtime");
        fs::create_directory(folder_ / "bin");
        fs::copy_file(program("ya-runtime-vm"), folder_ / "ya-runtime-vm");
        for (const char* file : {"vmlinux", "initramfs", "self-test.gvmi"})
            fs::copy_file(program("runtime") / file, folder_ / "runtime" / file);
        fs::copy(program("runtime") / "qemu", folder_ / "runtime/qemu", fs::copy_options::recursive);
    }
    void TearDown() override {
        fs::remove_all(folder_);
        SystemTest::TearDown();
    }

    // Runs `words` and then the runtime with the options.
    Output runtime(const std::vector<std::string>& words, const std::vector<std::string>& options) {
        std::vector<std::string> argv = words;
        argv.insert(argv.end(), {folder_ / "ya-runtime-vm", "--cache-dir", folder_ / "cache"});
        argv.insert(argv.end(), options.begin(), options.end());
        return run_program(argv);
    }

    // Both calls fail, write nothing to stdout and say so.
    void expect_both(const std::vector<std::string>& words, const std::string& said, const std::string& accelerator = "tcg") {
        for (const char* call : {"test", "offer-template"}) {
            const Output output = runtime(words, {"--accel", accelerator, call});
            EXPECT_EQ(output.code, 1) << call;
            EXPECT_EQ(output.out, "") << call;
            EXPECT_THAT(output.err, HasSubstr("error: " + said)) << call;
        }
    }

    // What `test` reports with another image instead of its own.
    std::string with_image(const std::string& name, const std::string& limit = "60") {
        fs::copy_file(image(name), folder_ / "runtime/self-test.gvmi", fs::copy_options::overwrite_existing);
        const Output output = runtime({}, {"--accel", "tcg", "--template", "off", "--test-timeout", limit, "test"});
        EXPECT_EQ(output.code, 1);
        EXPECT_EQ(output.out, "");
        return output.err;
    }

    void write_qemu(const std::string& version) {
        std::ofstream(folder_ / "bin/qemu-system-x86_64") << "#!/bin/sh\necho '" << version << "'\n";
        fs::permissions(folder_ / "bin/qemu-system-x86_64", fs::perms::owner_all);
    }

    fs::path folder_;
};

TEST_F(Causes, NoKvm) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can have a /dev of its own";
    fs::create_directory(folder_ / "dev");
    expect_both({"unshare", "--mount", "sh", "-c", kWithoutKvm, "sh", folder_ / "dev"}, "KVM does not work: /dev/kvm is missing: ", "auto");
}

TEST_F(Causes, KvmNotAccessible) {
    if (!fs::exists("/dev/kvm")) GTEST_SKIP() << "no /dev/kvm";
    const std::vector<std::string> nobody{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
    const bool root = ::geteuid() == 0;
    if (!root && ::access("/dev/kvm", R_OK | W_OK) == 0) GTEST_SKIP() << "this user has access to /dev/kvm, and only root can be another";
    fs::permissions(folder_ / "bin", fs::perms::all);
    expect_both(root ? nobody : std::vector<std::string>{}, "KVM does not work: /dev/kvm is not accessible to user ", "auto");
}

TEST_F(Causes, KvmRunsNoGuest) {
    const Output output = runtime({}, {"test"});
    if (output.code == 0) GTEST_SKIP() << "KVM works";
    if (::access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/kvm does not open";
    expect_both({}, "KVM does not work: /dev/kvm opens, but no guest runs under it (the VM did not start: ", "auto");
}

TEST_F(Causes, NoQemu) {
    expect_both({"/usr/bin/env", "PATH=" + (folder_ / "bin").string(), "YA_RUNTIME_VM_QEMU=qemu-system-x86_64"},
                "there is no QEMU qemu-system-x86_64; --qemu takes a path or a name in PATH");
}

TEST_F(Causes, OldQemu) {
    write_qemu("QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11)");  // a program that says so stands for one
    expect_both({"/usr/bin/env", "PATH=" + (folder_ / "bin").string(), "YA_RUNTIME_VM_QEMU=qemu-system-x86_64"},
                (folder_ / "bin/qemu-system-x86_64").string() + " is version 5.2; 7.2 or newer is needed");
}

TEST_F(Causes, FilesOfOursMissing) {
    for (const char* name : {"vmlinux", "initramfs", "qemu/qemu-system-x86_64"}) {
        fs::rename(folder_ / "runtime" / name, folder_ / "elsewhere");
        expect_both({}, "the installation is incomplete; reinstall the runtime: cannot open " + (folder_ / "runtime" / name).string());
        fs::rename(folder_ / "elsewhere", folder_ / "runtime" / name);
    }
    fs::remove(folder_ / "runtime/self-test.gvmi");
    const Output output = runtime({}, {"--accel", "tcg", "--template", "off", "test"});
    EXPECT_EQ(output.code, 1);
    EXPECT_THAT(output.err, HasSubstr("error: the installation is incomplete; reinstall the runtime: cannot open " +
                                      (folder_ / "runtime/self-test.gvmi").string()));
}

TEST_F(Causes, TooFewDescriptors) {
    expect_both({"prlimit", "--nofile=100"},
                "too few file descriptors: this process may open 100 files and a VM needs 512: raise the limit");
}

TEST_F(Causes, TooLittleMemory) {
    const Output output = runtime({}, {"--accel", "tcg", "--test-mem-gib", "100000", "test"});
    EXPECT_EQ(output.code, 1);
    EXPECT_THAT(output.err, HasSubstr("error: not enough memory: a VM of 97.7 TiB was asked for and the host has "));
    EXPECT_THAT(output.err, HasSubstr("; end other programs or lower --test-mem-gib\n"));
}

// Causes that lie in a device are in unit.runtime_host, test_pci.cpp.
TEST_F(Causes, APciDeviceThatIsNotThere) {
    const std::string said = "the VM cannot have the PCI device ff:1f.7: this host has no such device (lspci -D lists them)\n";
    expect_both({"/usr/bin/env", "YA_RUNTIME_VM_PCI_DEVICE=ff:1f.7"}, said);
    for (const char* call : {"test", "offer-template"}) {
        const Output output = runtime({}, {"--accel", "tcg", "--pci-device", "ff:1f.7", "--pci-device", "00:00.0", call});
        EXPECT_EQ(output.code, 1) << call;
        EXPECT_THAT(output.err, HasSubstr("error: " + said)) << call;
    }
}

TEST_F(Causes, TimeOut) {
    EXPECT_THAT(with_image("hangs", "5"), HasSubstr("error: the self-test did not end within 5 s: the machine is too slow or too busy; "
                                                    "give it more with --test-timeout\n"));
}

TEST_F(Causes, WhatTheVmFindsWrong) {
    EXPECT_THAT(with_image("fails"), HasSubstr("error: inside the VM: the disk is odd\n"));
}

TEST_F(Causes, WhatTheHostDoesNotSee) {
    EXPECT_THAT(with_image("silent"), HasSubstr("/guest: No such file or directory\n"));
}

TEST_F(Causes, AKernelThatDoesNotBoot) {
    fs::copy_file(folder_ / "runtime/initramfs", folder_ / "runtime/vmlinux", fs::copy_options::overwrite_existing);
    const Output output = runtime({}, {"--accel", "tcg", "--template", "off", "test"});
    EXPECT_EQ(output.code, 1);
    EXPECT_THAT(output.err, HasSubstr("error: the VM did not start: QEMU: "));
}

TEST_F(Causes, NoneWhereTheSoftLimitsAreLow) {
    const Output output = runtime({"prlimit", "--nofile=64:4096"}, {"--accel", "tcg", "--template", "off", "--test-timeout", "60", "test"});
    EXPECT_EQ(output.code, 0) << output.err;
}

}  // namespace
}  // namespace system_test
