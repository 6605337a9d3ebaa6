#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"

namespace vm {

// A cgroup (version 2) for a child, next to ours: inside a parent that was delegated to us, as by systemd's user sessions and
// DelegateSubgroup=, or that is the root of the hierarchy. Nowhere else is one made (cgroup_obstacle says why): a cgroup below ours cannot
// limit anything while processes are in ours, and one further up would lift our own limits.
//
// The destructor removes it; a later runtime removes those that a killed runtime left in the same parent.
class Cgroup {
public:
    struct Limits {
        uint64_t memory_bytes = 0;
        unsigned tasks = 0;  // threads and processes
    };
    // Holds no cgroup where it cannot be made. `mount` is where cgroups are mounted.
    explicit Cgroup(const Limits& limits, const std::filesystem::path& mount = "/sys/fs/cgroup");
    ~Cgroup();  // removes it; the child must have been waited for
    Cgroup(Cgroup&& other) noexcept;
    Cgroup& operator=(Cgroup&& other) = delete;

    // In the child; async-signal-safe. Does nothing where there is no cgroup or it cannot be entered.
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

// Why no cgroup can be made here, as far as that shows without trying; empty where nothing prevents it.
std::string cgroup_obstacle(const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace vm
