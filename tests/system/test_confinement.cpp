// What a QEMU that has been taken over can reach (docs/spec/guest.md, "A QEMU that has been taken over"), and its cgroup.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "fixture.h"
#include "hijacked.h"

namespace system_test {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConfinementTest : public SystemTest {
protected:
    // Runs the runtime where no user namespaces can be made.
    void forbid_namespaces() {
        launcher = {"/usr/bin/unshare",
                    "--user",
                    "--map-root-user",
                    "/bin/sh",
                    "-c",
                    R"(echo 0 > /proc/sys/user/max_user_namespaces && exec "$@")",
                    "sh"};
    }

    // Not in a chroot, for instance.
    static bool namespaces_can_be_made() { return base::run({"unshare", "--user", "/bin/true"}).code == 0; }

    // A file of the user's that is none of the VM's, and a service of theirs.
    fs::path own_file() const { return workdir / "own"; }
    fs::path service() const { return workdir / "service"; }
    void SetUp() override {
        SystemTest::SetUp();
        base::write_all(base::open_file(own_file(), O_WRONLY | O_CREAT).get(), "text", own_file());
        listener_ = base::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_un address = service_address();
        ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        ASSERT_EQ(::listen(listener_.get(), 1), 0);
        task_package = image("configured");  // with volumes, so QEMU has a share
    }
    sockaddr_un service_address() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (service().string().size() >= sizeof address.sun_path) throw base::Error("the work folder's path is too long for a socket");
        service().string().copy(address.sun_path, sizeof address.sun_path - 1);
        return address;
    }

    void expect_no_calls(Hijacked& qemu, pid_t runtime);
    void expect_closed_share(Hijacked& qemu, pid_t pid);
    std::pair<long, long> change_metadata(Hijacked& qemu);

private:
    base::UniqueFd listener_;
};

// Whatever needs no path: the filter of system calls refuses it, with namespaces and without.
void ConfinementTest::expect_no_calls(Hijacked& qemu, pid_t runtime) {
    for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_VSOCK, AF_PACKET}) {
        EXPECT_EQ(qemu.call(SYS_socket, {family, SOCK_STREAM}), -ENOSYS) << family;
        EXPECT_EQ(qemu.call(SYS_socket, {family, SOCK_DGRAM}), -ENOSYS) << family;
    }
    const sockaddr_un address = service_address();
    for (int fd = 3; fd < 12; fd++)
        EXPECT_EQ(qemu.call(SYS_connect, {fd, qemu.put(0, &address, sizeof address), sizeof address}), -ENOSYS) << fd;
    EXPECT_EQ(qemu.call(SYS_ptrace, {PTRACE_ATTACH, runtime}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_process_vm_readv, {runtime, qemu.put(0, "x"), 1, qemu.put(8, "x"), 1}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_pidfd_open, {runtime}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_kill, {runtime, 0}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_tgkill, {runtime, runtime, 0}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_prctl, {PR_SET_PDEATHSIG, 0}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_keyctl, {KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1}), -ENOSYS);
    // Others end it: what QEMU's own filter forbids.
    for (const long call :
         std::initializer_list<long>{SYS_io_uring_setup, SYS_userfaultfd, SYS_bpf, SYS_perf_event_open, SYS_inotify_init1})
        EXPECT_EQ(qemu.call(call), -ENOSYS) << call;
    EXPECT_EQ(qemu.call(SYS_chdir, {qemu.put(0, "/proc")}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_chmod, {qemu.put(0, own_file()), 0644}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_setxattr, {qemu.put(0, own_file()), qemu.put(1024, "user.x"), qemu.put(1100, "v"), 1}), -ENOSYS);
}

// Inside the share it may make files and folders, and nothing that leads out of it.
void ConfinementTest::expect_closed_share(Hijacked& qemu, pid_t pid) {
    long share = -1;
    for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
        std::error_code ignored;
        if (fs::read_symlink(entry, ignored).string().ends_with("/volumes")) share = std::stol(entry.path().filename());
    }
    ASSERT_GE(share, 0);
    EXPECT_LT(qemu.call(SYS_openat, {share, qemu.put(0, "../own"), O_RDONLY}), 0);
    const long file = qemu.call(SYS_openat, {share, qemu.put(0, "evil"), O_RDWR | O_CREAT, 0755});
    EXPECT_GE(file, 0);
    EXPECT_EQ(qemu.call(SYS_fchmod, {file, 04755}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_symlinkat, {qemu.put(0, "/etc/passwd"), share, qemu.put(100, "link")}), -ENOSYS);
    EXPECT_EQ(qemu.call(SYS_mknodat, {share, qemu.put(0, "node"), S_IFIFO | 0644}), -ENOSYS);
    EXPECT_LT(qemu.call(SYS_linkat, {AT_FDCWD, qemu.put(0, own_file()), share, qemu.put(1024, "hard")}), 0);
    EXPECT_LT(qemu.call(SYS_linkat, {share, qemu.put(0, "evil"), AT_FDCWD, qemu.put(1024, workdir / "evil")}), 0);
    EXPECT_LT(qemu.call(SYS_renameat2, {share, qemu.put(0, "evil"), share, qemu.put(100, "../evil")}), 0);
    EXPECT_EQ(qemu.call(SYS_unlinkat, {share, qemu.put(0, "evil")}), 0);
}

// The errors of utimensat and lsetxattr on the user's own file.
std::pair<long, long> ConfinementTest::change_metadata(Hijacked& qemu) {
    const long path = qemu.put(0, own_file());
    const long times = qemu.call(SYS_utimensat, {AT_FDCWD, path, 0, 0});
    return {times, qemu.call(SYS_lsetxattr, {path, qemu.put(1024, "user.x"), qemu.put(1100, "v"), 1})};
}

TEST_F(ConfinementTest, AHijackedQemuReachesNothing) {
    if (!namespaces_can_be_made()) GTEST_SKIP() << "this host lets us make no user namespaces";
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to take over a process";
    deploy();
    auto runtime = start({"--confinement", "strict"});
    EXPECT_EQ(runtime->sh("echo text > /data/file; cat /data/file").out, "text\n");
    {
        const pid_t pid = runtime->qemu_pid();
        Hijacked qemu(pid);
        expect_no_calls(qemu, runtime->pid());
        expect_closed_share(qemu, pid);
        EXPECT_EQ(change_metadata(qemu), std::pair(-long{ENOENT}, -long{ENOENT}));
        for (const char* path : {"/etc/passwd", "/boot", "/run", "/var", "/dev/zero", "/sys"})
            EXPECT_EQ(qemu.call(SYS_newfstatat, {AT_FDCWD, qemu.put(0, path), qemu.put(1024, ""), 0}), -ENOENT) << path;
        EXPECT_LT(qemu.call(SYS_openat, {AT_FDCWD, qemu.put(0, own_file()), O_RDONLY}), 0);
        EXPECT_LT(qemu.call(SYS_openat, {AT_FDCWD, qemu.put(0, "/proc/1/environ"), O_RDONLY}), 0);
        EXPECT_LT(qemu.call(SYS_mkdirat, {AT_FDCWD, qemu.put(0, "/new"), 0700}), 0);
        EXPECT_LT(qemu.call(SYS_mkdirat, {AT_FDCWD, qemu.put(0, "/usr/lib/new"), 0700}), 0);
    }
    EXPECT_EQ(runtime->sh("cat /data/file").out, "text\n") << "the VM goes on";
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(ConfinementTest, WithoutNamespacesAHijackedQemuReachesMetadata) {
    if (!namespaces_can_be_made()) GTEST_SKIP() << "this host lets us make no user namespaces";
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to take over a process";
    forbid_namespaces();
    deploy();
    auto runtime = start();
    EXPECT_THAT(text_of(workdir / "stderr.txt"),
                HasSubstr("QEMU runs without a part of its confinement: namespaces (No space left on device)"));
    {
        const pid_t pid = runtime->qemu_pid();
        Hijacked qemu(pid);
        expect_no_calls(qemu, runtime->pid());
        expect_closed_share(qemu, pid);
        // What 9p needs, and what neither Landlock nor a filter can tell from it.
        EXPECT_EQ(change_metadata(qemu), std::pair(0L, 0L));
        EXPECT_LT(qemu.call(SYS_openat, {AT_FDCWD, qemu.put(0, own_file()), O_RDONLY}), 0);
    }
    EXPECT_EQ(runtime->sh("echo text > /data/file; cat /data/file").out, "text\n");
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(ConfinementTest, StrictStartsNoVmWhereAPartIsMissing) {
    if (!namespaces_can_be_made()) GTEST_SKIP() << "this host lets us make no user namespaces";
    forbid_namespaces();
    deploy();
    const std::string expected = "--confinement strict: this host lacks namespaces (No space left on device)";
    auto runtime = launch({"--confinement", "strict"});
    EXPECT_THAT(runtime->hello_error(), HasSubstr(expected));
    EXPECT_EQ(runtime->qemu_pid(), 0);
    EXPECT_THAT(text_of(workdir / "stderr.txt"), AllOf(HasSubstr(expected), Not(HasSubstr("template"))));
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(ConfinementTest, NobodyLooksIntoTheRuntime) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to take over a process";
    deploy();
    auto runtime = start();
    EXPECT_EQ(Hijacked(runtime->pid()).call(SYS_prctl, {PR_GET_DUMPABLE}), 0);
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(ConfinementTest, TheSelfTestSaysWhichItIs) {
    if (!namespaces_can_be_made()) GTEST_SKIP() << "this host lets us make no user namespaces";
    const std::vector<std::string> test{program("ya-runtime-vm"), "--accel", "tcg", "--workdir", workdir, "test", "--test-timeout", "120"};
    const Output whole = run_program(test);
    EXPECT_EQ(whole.code, 0) << whole.err;
    EXPECT_EQ(whole.out, "");
    EXPECT_THAT(whole.err, HasSubstr("confinement: whole\n"));
    forbid_namespaces();
    std::vector<std::string> without = launcher;
    without.insert(without.end(), test.begin(), test.end());
    const Output part = run_program(without);
    EXPECT_EQ(part.code, 0) << part.err;
    EXPECT_THAT(part.err, HasSubstr("confinement: without namespaces (No space left on device)\n"));
}

// Cgroups of version 2 with all controllers and root's rights, which few build machines have. A VM has them, so unit.vm's part runs there.

TEST_F(ConfinementTest, CgroupsInsideAVm) {
    task_package = image("unit");
    deploy({"--mem-gib", "0.5"});
    auto runtime = start({"--mem-gib", "0.5"});
    const Process process = runtime->run({"/bin/test_vm", "--gtest_filter=Cgroup*"});
    EXPECT_EQ(process.code, 0);
    EXPECT_THAT(process.out, HasSubstr("[  PASSED  ] 7 tests.")) << process.out << process.err;
    EXPECT_THAT(process.out, Not(HasSubstr("SKIPPED"))) << process.out;
    EXPECT_EQ(runtime->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
