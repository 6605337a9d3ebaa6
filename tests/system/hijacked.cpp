#include "hijacked.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "base/error.h"

namespace system_test {
namespace {

constexpr unsigned long kBelowStack = 16384;  // beyond what the interrupted function may use
constexpr unsigned long kSyscallSize = 2;     // 0f 05

// The wait status. A main thread that died alone is reported only when the other threads have ended too.
int wait_for_stop(pid_t pid, long number) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (int status = 0; std::chrono::steady_clock::now() < deadline;) {
        if (::waitpid(pid, &status, __WALL | WNOHANG) == pid) return status;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    throw base::Error("process " + std::to_string(pid) + " does not stop after system call " + std::to_string(number));
}

}  // namespace

Hijacked::Hijacked(pid_t pid) : pid_(pid) {
    int status = 0;
    if (::ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) < 0 || ::waitpid(pid, &status, __WALL) != pid)
        base::throw_errno("cannot attach to process ", pid);
    if (::ptrace(PTRACE_GETREGS, pid, nullptr, &saved_) < 0) base::throw_errno("cannot read the registers of process ", pid);
    const long code = ::ptrace(PTRACE_PEEKTEXT, pid, saved_.rip - kSyscallSize, nullptr);
    if ((code & 0xffff) != 0x050f) throw base::Error("process " + std::to_string(pid) + " does not wait in a system call");
}

Hijacked::~Hijacked() {
    (void)::ptrace(PTRACE_SETREGS, pid_, nullptr, &saved_);
    (void)::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
}

long Hijacked::call(long number, std::array<long, 6> arguments) {
    user_regs_struct registers = saved_;
    registers.rax = static_cast<unsigned long>(number);
    registers.orig_rax = ~0UL;  // so that the kernel does not restart the interrupted call
    const auto argument = [&](size_t i) { return static_cast<unsigned long>(arguments.at(i)); };
    registers.rdi = argument(0);
    registers.rsi = argument(1);
    registers.rdx = argument(2);
    registers.r10 = argument(3);
    registers.r8 = argument(4);
    registers.r9 = argument(5);
    registers.rip = saved_.rip - kSyscallSize;
    registers.rsp = saved_.rsp - 2 * kBelowStack;
    if (::ptrace(PTRACE_SETREGS, pid_, nullptr, &registers) < 0 || ::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) < 0)
        base::throw_errno("cannot step process ", pid_);
    const int status = wait_for_stop(pid_, number);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        throw base::Error("process " + std::to_string(pid_) + " did not survive system call " + std::to_string(number));
    if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) < 0) base::throw_errno("cannot read the registers of process ", pid_);
    return static_cast<long>(registers.rax);
}

long Hijacked::put(size_t offset, const void* bytes, size_t size) {
    const unsigned long address = saved_.rsp - kBelowStack + offset;
    const iovec local{const_cast<void*>(bytes), size};
    const iovec remote{reinterpret_cast<void*>(address), size};  // NOLINT(performance-no-int-to-ptr): in the other process
    if (::process_vm_writev(pid_, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(size))
        base::throw_errno("cannot write to process ", pid_);
    return static_cast<long>(address);
}

}  // namespace system_test
