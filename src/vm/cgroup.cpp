#include "vm/cgroup.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace vm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "ya-runtime-vm-";  // followed by our process number, '-' and a count
constexpr size_t kTextLimit = 64 << 10;

std::string text_of(const fs::path& file) {
    return base::read_file_if_any(file, kTextLimit);
}

// Our group in the unified hierarchy, "/" at its top; empty where there is none.
std::string own_group() {
    for (const OwnCgroup& own : parse_own_cgroups(text_of("/proc/self/cgroup"))) {
        if (own.controllers.empty()) return own.path;
    }
    return {};
}

bool write_to(const fs::path& file, const std::string& text) {
    const base::UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool is_delegated(const fs::path& group) {
    struct stat status {};
    if (::stat(group.c_str(), &status) < 0) return false;
    if (status.st_uid == ::geteuid() && status.st_uid != 0) return true;
    char value = 0;
    for (const char* name : {"user.delegate", "trusted.delegate"}) {  // systemd's marks
        if (::getxattr(group.c_str(), name, &value, 1) == 1 && value == '1') return true;
    }
    return false;
}

// The group in which a child's group may be made. Throws base::Error with the reason where there is none.
fs::path parent_for_child(const fs::path& mount) {
    if (::access((mount / "cgroup.controllers").c_str(), F_OK) < 0) throw base::Error("cgroups are not of version 2 here");
    const std::string own = own_group();
    if (own.empty()) throw base::Error("this process is in no cgroup of version 2");
    const fs::path group = mount / fs::path(own).relative_path();
    if (own == "/") {
        // The root group has no limits and may hold processes beside its children; a container's root has limits.
        if (::access((mount / "cgroup.type").c_str(), F_OK) == 0) throw base::Error("the container's cgroup has processes of its own");
        return mount;
    }
    fs::path parent = group.parent_path();
    if (!is_delegated(parent)) throw base::Error("the cgroup above this process was not delegated to this user");
    if (::access(parent.c_str(), W_OK) < 0) base::throw_errno("cannot write to ", parent);
    const std::string limit = text_of(group / "memory.max");
    if (!limit.empty() && !limit.starts_with("max"))
        throw base::Error("this process's cgroup already has a memory limit; it covers the VM too");
    return parent;
}

// Removes the groups of killed runtimes. A group with processes cannot be removed, and a living runtime's group must not be.
void remove_leftovers(const fs::path& parent) {
    std::error_code error;
    for (fs::directory_iterator entry(parent, error); !error && entry != fs::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename();
        if (!name.starts_with(kPrefix)) continue;
        pid_t pid = 0;
        const char* begin = name.data() + kPrefix.size();
        if (std::from_chars(begin, name.data() + name.size(), pid).ec != std::errc() || pid <= 0) continue;
        if (::kill(pid, 0) < 0 && errno == ESRCH) (void)::rmdir(entry->path().c_str());
    }
}

fs::path make_group(const fs::path& parent, const Cgroup::Limits& limits) {
    static std::atomic<unsigned> count = 0;
    remove_leftovers(parent);
    for (const char* controller : {"+memory", "+pids"})
        (void)write_to(parent / "cgroup.subtree_control", controller);  // where it is not already on
    fs::path path = parent / (std::string(kPrefix) + std::to_string(::getpid()) + '-' + std::to_string(count++));
    if (::mkdir(path.c_str(), 0755) < 0) base::throw_errno("cannot make ", path);
    const bool memory = write_to(path / "memory.max", std::to_string(limits.memory_bytes));
    const bool tasks = write_to(path / "pids.max", std::to_string(limits.tasks));
    if (!memory && !tasks) {
        (void)::rmdir(path.c_str());
        throw base::Error("neither the memory nor the pids controller is available in " + parent.string());
    }
    return path;
}

}  // namespace

std::vector<OwnCgroup> parse_own_cgroups(const std::string& text) {
    std::vector<OwnCgroup> result;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos || second + 1 >= line.size() || line[second + 1] != '/') continue;
        result.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
    }
    return result;
}

std::string cgroup_obstacle(const fs::path& mount) {
    try {
        (void)parent_for_child(mount);
        return {};
    } catch (const base::Error& e) {
        return e.what();
    }
}

Cgroup::Cgroup(const Limits& limits, const fs::path& mount) {
    try {
        path_ = make_group(parent_for_child(mount), limits);
        processes_ = base::copy_of(base::open_file(path_ / "cgroup.procs", O_WRONLY), base::kBeyondChildren);
    } catch (const base::Error& e) {
        spdlog::debug("no cgroup is made: {}", e.what());
    }
}

Cgroup::~Cgroup() {
    if (!path_.empty()) (void)::rmdir(path_.c_str());
}

Cgroup::Cgroup(Cgroup&& other) noexcept : path_(std::exchange(other.path_, {})), processes_(std::move(other.processes_)) {}

void Cgroup::enter() const {
    if (processes_) (void)!::write(processes_.get(), "0", 1);
}

}  // namespace vm
