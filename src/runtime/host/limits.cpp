#include "runtime/host/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/rlimit.h"
#include "base/size.h"
#include "vm/cgroup.h"

namespace runtime {
namespace {

namespace fs = std::filesystem;

// The two hierarchies' names for the same things.
struct MemoryFiles {
    const char* mount;
    const char* limit;
    const char* usage;
    std::array<const char*, 2> reclaimable;  // of memory.stat: the page cache, which can be reclaimed
};
constexpr MemoryFiles kUnified{"sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}};
constexpr MemoryFiles kVersion1{
    "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}};

// The number at the start of a text; none: "max", or no such file.
std::optional<uint64_t> number_in(const std::string& text) {
    uint64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return {};
    return value;
}

// Bytes left in a memory cgroup; the largest number where it has no limit.
uint64_t left_in(const Host& host, const fs::path& group, const MemoryFiles& files) {
    const auto limit = number_in(host_text(host, group / files.limit));
    const auto usage = number_in(host_text(host, group / files.usage));
    if (!limit || !usage) return UINT64_MAX;
    uint64_t reclaimable = 0;
    std::istringstream words(host_text(host, group / "memory.stat"));
    uint64_t bytes = 0;
    for (std::string name; words >> name >> bytes;) {
        if (std::count(files.reclaimable.begin(), files.reclaimable.end(), name) > 0) reclaimable += bytes;
    }
    const uint64_t used = *usage - std::min(reclaimable, *usage);
    return *limit - std::min(*limit, used);
}

// Bytes left in the fullest of the memory cgroups around us.
uint64_t left_in_cgroups(const Host& host) {
    uint64_t least = UINT64_MAX;
    for (const vm::OwnCgroup& own : vm::parse_own_cgroups(host_text(host, "proc/self/cgroup"))) {
        if (!own.controllers.empty() && own.controllers != "memory") continue;
        const MemoryFiles& files = own.controllers.empty() ? kUnified : kVersion1;
        for (fs::path group = fs::path(own.path).relative_path();; group = group.parent_path()) {
            least = std::min(least, left_in(host, fs::path(files.mount) / group, files));
            if (group.empty()) break;
        }
    }
    return least;
}

// Whether we are exempt from the limit: CAP_IPC_LOCK.
bool may_lock_all() {
    constexpr unsigned kIpcLock = 14;
    constexpr std::string_view kKey = "CapEff:\t";
    const std::string status = base::read_file("/proc/self/status", 1 << 16);
    const size_t at = status.find(kKey);
    unsigned long long capabilities = 0;
    return at != status.npos && std::sscanf(status.c_str() + at + kKey.size(), "%llx", &capabilities) == 1 &&
           (capabilities >> kIpcLock & 1) != 0;
}

}  // namespace

void raise_descriptor_limit() {
    // A VM has some 40 of its own, and some of our own numbers begin at 256. Files that a guest opens on its volumes come on top; where it
    // must, QEMU closes some to open others.
    constexpr rlim_t kLeast = 512;
    constexpr rlim_t kWanted = 65536;
    const rlim_t most = base::hard_limit(RLIMIT_NOFILE);
    if (most < kLeast) {
        throw base::Error(
            fmt::format("too few file descriptors: this process may open {} files and a VM needs {}: raise the limit (ulimit -n, "
                        "LimitNOFILE= in a systemd unit, /etc/security/limits.conf)",
                        most, kLeast));
    }
    base::raise_soft_limit(RLIMIT_NOFILE, kWanted);
}

uint64_t available_memory(const Host& host) {
    constexpr std::string_view kKey = "MemAvailable:";
    const std::string info = host_text(host, "proc/meminfo");
    std::optional<uint64_t> kib;
    if (const size_t at = info.find(kKey); at != std::string::npos)
        kib = number_in(info.substr(std::min(info.find_first_not_of(' ', at + kKey.size()), info.size())));
    return std::min(kib.value_or(UINT64_MAX >> 10) << 10, left_in_cgroups(host));
}

void raise_lock_limit(uint64_t memory_bytes) {
    constexpr uint64_t kFirmware = 4 << 20;  // QEMU maps its BIOS and tables too
    const rlim_t wanted = memory_bytes + kFirmware;
    if (may_lock_all()) return;
    const rlim_t most = base::hard_limit(RLIMIT_MEMLOCK);
    if (most < wanted) {
        throw base::Error(
            fmt::format("a VM with a PCI device needs {} of locked memory and this process may lock {}: raise the limit (memlock in "
                        "/etc/security/limits.conf, LimitMEMLOCK= in a systemd unit), or give the VM less memory",
                        base::format_size(wanted), base::format_size(most)));
    }
    base::raise_soft_limit(RLIMIT_MEMLOCK);
}

}  // namespace runtime
