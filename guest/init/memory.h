#pragma once

#include <set>

#include "init/port.h"

namespace init {

// Watches the kernel's log for OOM kills, and for lines that the host's log should have.
class Memory {
public:
    explicit Memory(Port& port);

    // Readable when the kernel has logged something.
    int fd() const { return kmsg_.get(); }
    void read();

    // Whether the OOM killer killed a process that died of SIGKILL; ask once.
    bool killed(pid_t pid);

private:
    void line(std::string_view record);

    Port& port_;
    base::UniqueFd kmsg_;
    base::UniqueFd vmstat_;
    uint64_t counted_ = 0;  // kills whose line has been read or that have been reported
    std::set<pid_t> pids_;
};

// The pid of a line such as "Out of memory: Killed process 123 (name) …", 0 in any other.
pid_t killed_process(std::string_view line);

}  // namespace init
