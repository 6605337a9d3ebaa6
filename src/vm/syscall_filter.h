#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <vector>

namespace vm {

// The system calls that QEMU needs, from its start on, as a seccomp filter (seccomp(2)); every other call fails with ENOSYS. QEMU adds its
// own filter to it, which takes away what only the start needs (-sandbox). Above all there are no new sockets, connections, processes or
// namespaces, and nothing that looks into other processes.
class SyscallFilter {
public:
    // `share`: QEMU serves a folder of the host, for which it changes files and their metadata by path. Throws base::Error where the filter
    // cannot be made.
    explicit SyscallFilter(bool share);

    // In the child, which has no new privileges (PR_SET_NO_NEW_PRIVS); async-signal-safe. Returns false with errno set: ENOSYS or EINVAL
    // where the kernel has no such filters.
    bool enter() const;

private:
    std::vector<sock_filter> program_;
    std::vector<size_t> own_pid_;  // the instructions that compare with the child's PID, which is not known yet
};

}  // namespace vm
