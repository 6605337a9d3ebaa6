// A process that somebody else has got hold of: it makes system calls of our choice. Root's ptrace stands for what a guest would have to
// find, a fault in QEMU that runs the guest's code there.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <array>
#include <string>

namespace system_test {

class Hijacked {
public:
    // Attaches to the process's main thread, which waits in a system call. Throws base::Error.
    explicit Hijacked(pid_t pid);
    ~Hijacked();  // lets it go on where it was
    Hijacked(const Hijacked&) = delete;
    Hijacked& operator=(const Hijacked&) = delete;

    // What the kernel returns: an errno below 0, or the call's result. Throws base::Error where the process has died of it.
    long call(long number, std::array<long, 6> arguments = {});

    // Puts bytes into the process's memory at `offset` (below 2,048) of a scratch area, and returns their address there.
    long put(size_t offset, const void* bytes, size_t size);
    long put(size_t offset, const std::string& text) { return put(offset, text.c_str(), text.size() + 1); }

private:
    pid_t pid_;
    user_regs_struct saved_{};
};

}  // namespace system_test
