#include "vm/syscall_filter.h"

#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace vm {
namespace {

// By name, so that a call which the C library's headers do not know yet counts where libseccomp knows it.
constexpr const char* kAlways[] = {
    // memory
    "brk", "get_mempolicy", "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mmap", "mprotect", "mremap", "msync",
    "munlock", "munmap", "set_mempolicy",
    // threads, signals, the program's own start and end
    "arch_prctl", "execve", "exit", "exit_group", "futex", "futex_waitv", "get_robust_list", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "seccomp", "set_robust_list", "set_tid_address",
    "sigaltstack", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min",
    "sched_yield",
    // descriptors and files
    "access", "close", "close_range", "copy_file_range", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "faccessat", "faccessat2", "fadvise64", "fallocate", "fcntl", "fdatasync", "flock",
    "fstat", "fstatfs", "fsync", "ftruncate", "getcwd", "getdents", "getdents64", "ioctl", "lseek", "lstat", "newfstatat", "open", "openat",
    "openat2", "pipe", "pipe2", "poll", "ppoll", "pread64", "preadv", "preadv2", "pselect6", "pwrite64", "pwritev", "pwritev2", "read",
    "readahead", "readlink", "readlinkat", "readv", "select", "signalfd", "signalfd4", "splice", "stat", "statfs", "statx",
    "sync_file_range", "write", "writev",
    // sockets that it has been given
    "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "setsockopt", "shutdown",
    // time, and what it is
    "clock_getres", "clock_gettime", "clock_nanosleep", "getegid", "geteuid", "getgid", "getgroups", "getpgrp", "getpid", "getppid",
    "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "gettid", "gettimeofday", "getuid", "nanosleep",
    "sysinfo", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create",
    "timerfd_gettime", "timerfd_settime", "times", "uname"};

// What 9p does to the files of a share, whose owners and modes it keeps in attributes (security_model=mapped-xattr).
constexpr const char* kForShare[] = {"lgetxattr", "linkat",   "llistxattr", "lremovexattr", "lsetxattr",
                                     "mkdirat",   "renameat", "renameat2",  "unlinkat",     "utimensat"};

// What a process may do to itself; not, for instance, live on after its parent (PR_SET_PDEATHSIG).
constexpr int kProcessControls[] = {PR_SET_NAME,    PR_GET_NAME,        PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS,
                                    PR_SET_SECCOMP, PR_GET_SECCOMP,     PR_GET_DUMPABLE,     PR_SET_TIMERSLACK,
                                    PR_SET_VMA,     PR_SET_THP_DISABLE, PR_GET_THP_DISABLE,  PR_MCE_KILL};

// Stands for the child's PID; no system call and no flag has this number.
constexpr uint32_t kOwnPid = 0x7f5a5a5a;

constexpr uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
constexpr uint64_t kNoNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE;

class Rules {
public:
    Rules() : context_(::seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), &::seccomp_release) {
        if (!context_) throw base::Error("cannot make a seccomp filter");
        check(::seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)), "seccomp: another architecture's calls");
    }

    template <typename... Conditions>
    void allow(const char* name, Conditions... conditions) {
        const int number = ::seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR) return;  // newer than libseccomp
        check(::seccomp_rule_add(context_.get(), SCMP_ACT_ALLOW, number, sizeof...(conditions), conditions...), name);
    }

    std::vector<sock_filter> program() const {
        const base::UniqueFd file = base::memory_file("filter");
        check(::seccomp_export_bpf(context_.get(), file.get()), "seccomp: its program");
        const off_t size = ::lseek(file.get(), 0, SEEK_END);
        std::vector<sock_filter> program(static_cast<size_t>(size) / sizeof(sock_filter));
        if (::pread(file.get(), program.data(), static_cast<size_t>(size), 0) != size) base::throw_errno("cannot read a seccomp filter");
        return program;
    }

private:
    static void check(int result, const std::string& what) {
        if (result < 0) throw base::SystemError(-result, "cannot make a seccomp filter: " + what);
    }

    std::unique_ptr<void, decltype(&::seccomp_release)> context_;
};

}  // namespace

SyscallFilter::SyscallFilter(bool share) {
    Rules rules;
    for (const char* name : kAlways)
        rules.allow(name);
    if (share) {
        for (const char* name : kForShare)
            rules.allow(name);
        rules.allow("mknodat", SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, S_IFREG));  // also what a guest sees as a device
    }
    for (const int control : kProcessControls)
        rules.allow("prctl", SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(control)));
    // Threads alone. clone3 keeps its flags in memory, where a filter does not see them; the C library goes on with clone.
    rules.allow("clone", SCMP_A0(SCMP_CMP_MASKED_EQ, kThread | kNoNamespaces, kThread));
    rules.allow("prlimit64", SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));  // to read its own
    rules.allow("sendto", SCMP_A4(SCMP_CMP_EQ, 0));                              // to where the socket is connected
    rules.allow("tgkill", SCMP_A0(SCMP_CMP_EQ, kOwnPid));
    program_ = rules.program();
    for (size_t i = 0; i < program_.size(); i++) {
        if (program_[i].k == kOwnPid) own_pid_.push_back(i);
    }
    if (own_pid_.empty()) throw base::Error("cannot make a seccomp filter: it compares nothing with the PID");
}

bool SyscallFilter::enter() const {
    const auto pid = static_cast<uint32_t>(::syscall(SYS_getpid));
    auto* instructions = const_cast<sock_filter*>(program_.data());  // the child has its own copy of this memory
    for (const size_t index : own_pid_)
        instructions[index].k = pid;
    const sock_fprog filter{.len = static_cast<unsigned short>(program_.size()), .filter = instructions};
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

}  // namespace vm
