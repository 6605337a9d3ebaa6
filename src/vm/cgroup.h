#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"

namespace vm {

// A cgroup (version 2) of its own for a child, beside ours: below a parent that was delegated to us, as systemd's user sessions and
// DelegateSubgroup= do it, or that is the root of all. Elsewhere there is none (cgroup_obstacle says why): a cgroup below ours
// cannot limit anything while processes are in ours, and one further up would lift the limits that are on ours.
//
// It is removed with its last process gone; what a runtime that was killed has left is removed by the next one that makes one there.
class Cgroup {
public:
    struct Limits {
        uint64_t memory_bytes = 0;
        unsigned tasks = 0;  // threads and processes
    };
    // Where it cannot be made there is none. `mount` is where cgroups are.
    explicit Cgroup(const Limits& limits, const std::filesystem::path& mount = "/sys/fs/cgroup");
    ~Cgroup();  // removes it; the child must have been waited for
    Cgroup(Cgroup&& other) noexcept;
    Cgroup& operator=(Cgroup&& other) = delete;

    // In the child; async-signal-safe. Where there is none, or it cannot be entered, nothing happens.
    void enter() const;

    const std::filesystem::path& path() const { return path_; }  // empty: there is none

private:
    std::filesystem::path path_;
    base::UniqueFd processes_;  // its cgroup.procs
};

// A cgroup that we are in: one of each hierarchy.
struct OwnCgroup {
    std::string controllers;  // "memory", "cpu,cpuacct"; empty: the unified hierarchy (version 2)
    std::string path;         // below the hierarchy's mount, begins with '/'
};

// The lines of /proc/PID/cgroup, "4:memory:/path" and "0::/path" (cgroups(7)); a line of another form is left out.
std::vector<OwnCgroup> parse_own_cgroups(const std::string& text);

// Why no cgroup can be made here, as far as it shows without trying; empty: nothing is in the way.
std::string cgroup_obstacle(const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace vm
