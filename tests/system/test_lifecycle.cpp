// The life of a VM and its many ends: with its runtime, before it and without it; and full disks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include <charconv>
#include <csignal>
#include <fstream>

#include "base/error.h"
#include "fixture.h"

namespace system_test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

// The living QEMU processes that were started in a test's folder, in whatever process group they are.
std::vector<pid_t> our_qemus() {
    std::vector<pid_t> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
        const std::string name = entry.path().filename();
        pid_t pid = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc()) continue;
        const fs::path folder = fs::read_symlink(entry.path() / "cwd", ignored);  // none of one that waits to be reaped
        if (text_of(entry.path() / "comm").starts_with("qemu-system") && folder.string().starts_with(GVMKIT_TEST_WORK))
            found.push_back(pid);
    }
    return found;
}

// CPU time that a process has used, in clock ticks, from its stat file's text.
long cpu_ticks(const std::string& stat) {
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    std::string skipped;
    for (int i = 3; i < 14; i++)
        fields >> skipped;
    long user = 0;
    long system = 0;
    fields >> user >> system;
    return user + system;
}

class Lifecycle : public SystemTest {
protected:
    std::string log() const { return text_of(workdir / "logs/ya-runtime-vm.log"); }
};

TEST_F(Lifecycle, TheDeathOfAVmIsToldToThoseWhoWait) {
    deploy();
    auto runtime = start();
    EXPECT_EQ(runtime->sh("echo '<1>the last words' > /dev/kmsg").code, 0);
    const auto process = runtime->begin({"/bin/sh", "-c", "echo out; printf err >&2; sleep 1000"});
    runtime->until([&process] { return process->out == "out\n" && process->err == "err"; });
    ASSERT_EQ(::kill(runtime->qemu_pid(), SIGKILL), 0);
    runtime->finish(process);
    EXPECT_EQ(process->code, 137);
    EXPECT_EQ(process->out, "out\n");
    EXPECT_THAT(process->err, testing::StartsWith("err\nya-runtime-vm: "));
    EXPECT_THAT(process->err, ContainsRegex("ya-runtime-vm: .*VM died.*signal 9.*\n$"));
    try {
        runtime->sh("true");
        ADD_FAILURE() << "a command ran in a dead VM";
    } catch (const exeunit::ResponseError& e) {
        EXPECT_THAT(e.what(), HasSubstr("the VM died: QEMU was killed by signal 9"));
    }
    EXPECT_THAT(log(), HasSubstr("the last words"));
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(Lifecycle, AVmHasTheCoresAndMemoryItWasGiven) {
    const std::vector<std::string> size{"--cpu-cores", "3", "--mem-gib", "0.5"};
    deploy(size);
    auto runtime = start(size);
    EXPECT_EQ(runtime->run({"/bin/nproc"}).out, "3\n");
    const long kib = std::stol(runtime->sh("awk '/^MemTotal/ {print $2}' /proc/meminfo").out);
    EXPECT_GT(kib, 460 * 1024);
    EXPECT_LE(kib, 512 * 1024);
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(Lifecycle, TooLittleMemoryIsAnAnswerToHello) {
    deploy({"--mem-gib", "0.01"});
    auto runtime = launch({"--mem-gib", "0.01"});
    EXPECT_THAT(runtime->hello_error(), HasSubstr("needs at least 64 MiB of memory; it was given 10 MiB"));
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(Lifecycle, TooMuchMemoryIsAnAnswerToHello) {
    deploy({"--mem-gib", "1e6"});
    auto runtime = launch({"--mem-gib", "1e6"});
    EXPECT_THAT(runtime->hello_error(), ContainsRegex("memory"));
    EXPECT_EQ(runtime->shutdown(), 0);
}

// A runtime of its own, whose kernel or initramfs is spoilt.
class BrokenRuntime : public Lifecycle {
protected:
    void SetUp() override {
        Lifecycle::SetUp();
        fs::create_directories(files());
        fs::copy_file(program("ya-runtime-vm"), workdir / "bin/ya-runtime-vm");
        for (const char* name : {"vmlinux", "initramfs"})
            fs::copy_file(program("runtime") / name, files() / name);
        fs::create_directory_symlink(program("runtime") / "qemu", files() / "qemu");
        deploy();
    }

    fs::path files() const { return workdir / "bin/runtime"; }

    std::string hello_error_of_broken() {
        Runtime runtime({workdir / "bin/ya-runtime-vm", "--accel", "tcg", "--workdir", workdir, "--task-package", task_package, "start"},
                        workdir);
        std::string error = runtime.hello_error();
        EXPECT_THAT(our_qemus(), testing::IsEmpty());
        EXPECT_EQ(runtime.shutdown(), 0);
        return error;
    }
};

TEST_F(BrokenRuntime, ABrokenKernelIsAnAnswerToHello) {
    fs::resize_file(files() / "vmlinux", 3 << 20);
    EXPECT_THAT(hello_error_of_broken(), HasSubstr("the VM did not start: QEMU: "));
    std::ofstream(files() / "vmlinux") << "not a kernel";
    EXPECT_THAT(hello_error_of_broken(), HasSubstr("the VM did not start: QEMU: "));
    fs::remove(files() / "vmlinux");
    EXPECT_THAT(hello_error_of_broken(), ContainsRegex("the installation is incomplete.*vmlinux.*No such file"));
}

TEST_F(BrokenRuntime, APanicIsAnAnswerToHello) {
    std::ofstream(files() / "initramfs") << "";
    EXPECT_THAT(hello_error_of_broken(), ContainsRegex("the VM did not start: the guest's kernel panicked: "));
    EXPECT_THAT(log(), HasSubstr("Kernel panic"));
}

TEST_F(Lifecycle, AnIdleVmUsesNoCpuToSpeakOf) {
    constexpr auto kTime = 5s;
    const double limit = 0.05 * static_cast<double>(::sysconf(_SC_CLK_TCK)) * kTime.count();
    deploy();
    auto runtime = start();
    const auto of_agent = [&runtime] { return cpu_ticks(runtime->run({"/bin/cat", "/proc/1/stat"}).out); };
    const auto of_host = [](pid_t pid) { return cpu_ticks(text_of("/proc/" + std::to_string(pid) + "/stat")); };
    const long agent = of_agent();
    const pid_t qemu_pid = runtime->qemu_pid();
    runtime->serve(1s);  // what the commands left to do
    const long qemu = of_host(qemu_pid);
    const long ours = of_host(runtime->pid());
    runtime->serve(kTime);
    EXPECT_LT(of_host(qemu_pid) - qemu, limit);
    EXPECT_LT(of_host(runtime->pid()) - ours, limit);
    EXPECT_LT(of_agent() - agent, limit);
    EXPECT_EQ(runtime->shutdown(), 0);
}

// What QEMU takes of the machine's memory without its guest's and without translated code, which comes in pages of 2 MiB; in bytes. What
// several processes map counts for each in part.
uint64_t own_memory(pid_t qemu) {
    std::istringstream lines(text_of("/proc/" + std::to_string(qemu) + "/smaps"));
    uint64_t kib = 0;
    bool counts = false;
    for (std::string line; std::getline(lines, line);) {
        const std::string_view first = std::string_view(line).substr(0, line.find(' '));
        if (!first.ends_with(':')) {
            counts = line.find("memfd:vm-memory") == std::string::npos && line.find(" rwxp ") == std::string::npos;
        } else if (counts && first == "Pss:") {
            kib += std::stoull(line.substr(first.size()));
        }
    }
    return kib << 10;
}

TEST_F(Lifecycle, OurQemuTakesLittleMemoryOfItsOwn) {
    if (fs::is_symlink(program("runtime") / "qemu/qemu-system-x86_64")) GTEST_SKIP() << "this build uses the system's QEMU";
    deploy();
    auto runtime = start();
    runtime->sh("true");
    EXPECT_LT(own_memory(runtime->qemu_pid()), 21'000'000);  // 21.5 million with trace points and functions that nothing calls
    EXPECT_GT(own_memory(runtime->qemu_pid()), 4'000'000) << "smaps was not understood";
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(Lifecycle, HelloIsAnsweredWhateverIsWrongWithTheWorkdir) {
    deploy();
    fs::remove_all(workdir / "storage");
    fs::create_symlink("storage", workdir / "storage");  // the standard library's own exception
    const auto runtime = launch();
    EXPECT_THAT(runtime->hello_error(), HasSubstr("storage"));
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(Lifecycle, TheRootTakesWhatItWasGivenAndRefusesMore) {
    const std::vector<std::string> size{"--mem-gib", "0.25", "--storage-gib", "3"};
    deploy(size);
    auto runtime = start(size);
    const Process filled =
        runtime->run({"/bin/sh", "-c", "for i in 1 2 3 4; do dd if=/dev/zero of=/file$i bs=1M count=500 2>&1 || exit 1; done; sync"});
    EXPECT_EQ(filled.code, 0) << filled.out;
    EXPECT_EQ(runtime->sh("stat -c %s /file*").out, "524288000\n524288000\n524288000\n524288000\n");
    const Process refused = runtime->sh("dd if=/dev/zero of=/more bs=1M count=2000");
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("No space left on device"));
    EXPECT_EQ(runtime->sh("rm /more /file1 && echo alive > /new && cat /new").out, "alive\n");
    EXPECT_EQ(runtime->shutdown(), 0);
}

// A small file system of its own as the activity's folder.
class FullHost : public Lifecycle {
protected:
    void SetUp() override {
        Lifecycle::SetUp();
        small_ = workdir / "small";
        fs::create_directory(small_);
        if (::mount("tmpfs", small_.c_str(), "tmpfs", 0, "size=32m") < 0) GTEST_SKIP() << "no right to mount a file system";
    }
    void TearDown() override {
        (void)::umount2(small_.c_str(), MNT_DETACH);
        Lifecycle::TearDown();
    }

    fs::path small_;
};

TEST_F(FullHost, FailsWritesToVolumesLikewise) {
    if (::setxattr(small_.c_str(), "user.test", "1", 1, 0) < 0)
        GTEST_SKIP() << "this kernel's tmpfs has no user attributes, which a host volume needs";
    const std::vector<std::string> options{"--workdir", small_, "--storage-gib", "1"};
    std::vector<std::string> of_deploy = options;
    of_deploy.insert(of_deploy.end(),
                     {"--volume-override", R"({"/disk":{"storage":{"size":"500 MiB","errors":"continue"}},"/host":{"host":{}}})"});
    deploy(of_deploy);
    auto runtime = start(options);
    const Process refused = runtime->sh("dd if=/dev/zero of=/host/file bs=1M count=100; rm /host/file");
    EXPECT_THAT(refused.err, HasSubstr("No space left on device"));
    const Process failed = runtime->sh("dd if=/dev/zero of=/disk/file bs=1M count=100 conv=fsync");
    EXPECT_EQ(failed.code, 1);
    EXPECT_THAT(failed.err, HasSubstr("rror"));
    EXPECT_EQ(runtime->sh("echo alive").out, "alive\n");
    EXPECT_THAT(text_of(workdir / "stderr.txt"),
                ContainsRegex("the VM's disk storage.*: write failed: No space left on device; the host's disk is full"));
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(FullHost, FailsTheCommandAndNotTheVm) {
    const std::vector<std::string> options{"--workdir", small_, "--storage-gib", "1"};
    deploy(options);
    auto runtime = start(options);
    const Process failed = runtime->sh("dd if=/dev/zero of=/file bs=1M count=100 conv=fsync");
    EXPECT_EQ(failed.code, 1);
    EXPECT_THAT(failed.err, HasSubstr("rror"));
    EXPECT_EQ(runtime->sh("echo alive").out, "alive\n");
    const std::string line = "the VM's disk root: write failed: No space left on device; the host's disk is full";
    EXPECT_THAT(text_of(small_ / "logs/ya-runtime-vm.log"), HasSubstr(line));
    EXPECT_THAT(text_of(workdir / "stderr.txt"), HasSubstr(line));
    EXPECT_EQ(runtime->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
