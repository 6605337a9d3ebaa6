#include "vm/syscall_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "child_attempt.h"

namespace {

// 0 or an errno of a system call under the filter.
int attempt(bool share, const std::function<long()>& call) {
    const vm::SyscallFilter filter(share);
    return vm_test::attempt_confined([&] { return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter.enter(); }, call);
}

int attempt(long number, bool share = false) {
    return attempt(share, [number] { return ::syscall(number, 0, 0, 0, 0, 0, 0); });
}

TEST(SyscallFilter, AllowsNoSocketAndNoConnection) {
    for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_VSOCK, AF_PACKET})
        EXPECT_EQ(attempt(false, [family] { return ::socket(family, SOCK_STREAM, 0); }), ENOSYS) << family;
    EXPECT_EQ(attempt(false, [] { return ::socket(AF_INET, SOCK_DGRAM, 0); }), ENOSYS);
    for (const long call : std::initializer_list<long>{SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4})
        EXPECT_EQ(attempt(call), ENOSYS) << call;
    const char address[16] = {};
    EXPECT_EQ(attempt(false, [&] { return ::syscall(SYS_sendto, -1, "", 0, 0, address, sizeof address); }), ENOSYS);
    EXPECT_EQ(attempt(false, [&] { return ::syscall(SYS_sendto, -1, "", 0, 0, nullptr, 0); }), EBADF);
}

TEST(SyscallFilter, LooksIntoNoOtherProcess) {
    for (const long call : std::initializer_list<long>{SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_open,
                                                       438L /* pidfd_getfd */, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo,
                                                       SYS_rt_tgsigqueueinfo, SYS_perf_event_open})
        EXPECT_EQ(attempt(call), ENOSYS) << call;
    const pid_t other = ::getpid();
    EXPECT_EQ(attempt(false, [other] { return ::syscall(SYS_tgkill, other, other, 0); }), ENOSYS);
    EXPECT_EQ(attempt(false, [] { return ::syscall(SYS_tgkill, ::getpid(), ::gettid(), 0); }), 0);
    EXPECT_EQ(attempt(false, [other] { return ::prlimit(static_cast<__pid_t>(other), RLIMIT_CPU, nullptr, nullptr); }), ENOSYS);
}

TEST(SyscallFilter, GivesNoWayOut) {
    for (const long call : std::initializer_list<long>{SYS_bpf,
                                                       SYS_keyctl,
                                                       SYS_add_key,
                                                       SYS_request_key,
                                                       SYS_userfaultfd,
                                                       SYS_io_uring_setup,
                                                       SYS_io_uring_enter,
                                                       SYS_unshare,
                                                       SYS_setns,
                                                       SYS_mount,
                                                       SYS_umount2,
                                                       SYS_pivot_root,
                                                       SYS_chroot,
                                                       SYS_fsopen,
                                                       SYS_open_tree,
                                                       SYS_move_mount,
                                                       SYS_clone3,
                                                       SYS_fork,
                                                       SYS_vfork,
                                                       SYS_setsid,
                                                       SYS_setpgid,
                                                       SYS_setuid,
                                                       SYS_setgid,
                                                       SYS_setgroups,
                                                       SYS_setresuid,
                                                       SYS_capset,
                                                       SYS_init_module,
                                                       SYS_finit_module,
                                                       SYS_kexec_load,
                                                       SYS_personality,
                                                       SYS_modify_ldt,
                                                       SYS_inotify_init1,
                                                       SYS_fanotify_init,
                                                       SYS_open_by_handle_at,
                                                       SYS_quotactl,
                                                       SYS_swapon,
                                                       SYS_reboot,
                                                       SYS_iopl,
                                                       SYS_ioperm,
                                                       SYS_chdir,
                                                       SYS_fchdir,
                                                       SYS_shmget,
                                                       SYS_msgget,
                                                       SYS_semget,
                                                       SYS_mq_open,
                                                       SYS_setpriority,
                                                       SYS_sched_setaffinity})
        EXPECT_EQ(attempt(call), ENOSYS) << call;
    EXPECT_EQ(attempt(false, [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }), ENOSYS);
    EXPECT_EQ(attempt(false, [] { return ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }), ENOSYS);
    // Its life stays tied to ours, and nobody may look into it.
    EXPECT_EQ(attempt(false, [] { return ::prctl(PR_SET_PDEATHSIG, 0); }), ENOSYS);
    EXPECT_EQ(attempt(false, [] { return ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); }), ENOSYS);
    EXPECT_EQ(attempt(false, [] { return ::prctl(PR_SET_NAME, "name"); }), 0);
}

TEST(SyscallFilter, ChangesFilesByPathOnlyForAShare) {
    for (const long call :
         std::initializer_list<long>{SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_utimensat, SYS_lsetxattr, SYS_lremovexattr})
        EXPECT_EQ(attempt(call), ENOSYS) << call;
    EXPECT_EQ(attempt(true, [] { return ::mkdirat(-1, "name", 0700); }), EBADF);
    EXPECT_EQ(attempt(true, [] { return ::mknodat(-1, "name", S_IFREG | 0600, 0); }), EBADF);
    EXPECT_EQ(attempt(true, [] { return ::mknodat(-1, "name", S_IFIFO | 0600, 0); }), ENOSYS);
    for (const long call : std::initializer_list<long>{SYS_chmod, SYS_fchmod, SYS_fchmodat, SYS_chown, SYS_fchown, SYS_fchownat,
                                                       SYS_symlinkat, SYS_setxattr, SYS_fsetxattr})
        EXPECT_EQ(attempt(call, true), ENOSYS) << call;
}

TEST(SyscallFilter, KnowsNoOtherArchitecture) {
    constexpr long kX32 = 0x40000000;
    EXPECT_EQ(attempt(kX32 + SYS_getpid), ENOSYS);
}

}  // namespace
