#include "vm/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "base/error.h"
#include "base/fd.h"

namespace vm {
namespace {

// The folder on which the new root is put together. It exists wherever QEMU runs, and is looked at no more by then.
constexpr const char* kStaging = "/proc";
constexpr size_t kMaxIdMap = 4096;

constexpr unsigned long kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

// The map of a child's namespace that gives every id the number it has here (user_namespaces(7): "inside outside count").
std::string identity_map(const char* our_map) {
    std::stringstream lines(base::read_file(our_map, kMaxIdMap));
    std::string result;
    uint64_t inside = 0;
    uint64_t outside = 0;
    uint64_t count = 0;
    while (lines >> inside >> outside >> count) {
        result += fmt::format("{} {} {}\n", inside, inside, count);
    }
    return result;
}

std::string only(uint32_t id) {
    return fmt::format("{} {} 1\n", id, id);
}

int detached_copy(const char* path, unsigned long attributes) {
    const int tree = ::open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0) return -1;
    mount_attr wanted{};
    wanted.attr_set = attributes;
    return ::mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &wanted, sizeof wanted) < 0 ? -1 : tree;
}

int new_file_system(const char* type) {
    const int context = ::fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0 || ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return -1;
    return ::fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

// A container's /proc is often covered in part, and then the kernel allows no new one. The old one shows other processes, which the child
// may neither signal nor look into.
int process_folder() {
    const int made = new_file_system("proc");
    return made >= 0 || errno != EPERM ? made : detached_copy("/proc", kReadOnly | MOUNT_ATTR_NOEXEC);
}

bool put(int tree, const char* target) {
    const bool moved = ::move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0;
    const int error = errno;
    ::close(tree);
    errno = error;
    return moved;
}

}  // namespace

Namespaces::Namespaces(const Allowed& allowed) {
    start_.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC;
    // Root maps all the ids that it has, another user may map its own alone.
    start_.setgroups = ::geteuid() == 0;
    start_.user_map = start_.setgroups ? identity_map("/proc/self/uid_map") : only(::geteuid());
    start_.group_map = start_.setgroups ? identity_map("/proc/self/gid_map") : only(::getegid());
    add(allowed.read, kReadOnly);
    add(allowed.execute, kReadOnly);
    add(allowed.visible, kReadOnly | MOUNT_ATTR_NOEXEC);
    add(allowed.devices, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    add(allowed.read_write, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    add_target("/proc", true);
}

void Namespaces::add(const std::vector<std::filesystem::path>& paths, unsigned long attributes) {
    for (const std::filesystem::path& given : paths) {
        const std::filesystem::path path = std::filesystem::absolute(given).lexically_normal();
        struct stat status {};
        if (::stat(path.c_str(), &status) < 0) continue;  // as Landlock does
        const bool there = std::any_of(mounts_.begin(), mounts_.end(), [&](const Mount& mount) {
            return (mount.attributes & ~MOUNT_ATTR_NOEXEC) == (attributes & ~MOUNT_ATTR_NOEXEC) && is_below(path, mount.source);
        });
        if (there) continue;
        add_target(path, S_ISDIR(status.st_mode));
        mounts_.push_back({.source = path, .target = kStaging + path.string(), .attributes = attributes});
    }
}

void Namespaces::add_target(const std::filesystem::path& path, bool folder) {
    std::filesystem::path made;
    for (const std::filesystem::path& name : folder ? path : path.parent_path()) {
        made /= name;
        const std::string text = kStaging + made.string();
        if (made != "/" && std::find(folders_.begin(), folders_.end(), text) == folders_.end()) folders_.push_back(text);
    }
    if (!folder) files_.push_back(kStaging + path.string());
}

// Whatever fails, the child ends, and with it go descriptors and mounts.
bool Namespaces::enter() const {
    constexpr size_t kMaxMounts = 256;
    std::array<int, kMaxMounts> trees{};
    if (mounts_.size() > kMaxMounts) return errno = E2BIG, false;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return false;
    for (size_t i = 0; i < mounts_.size(); i++) {
        trees[i] = detached_copy(mounts_[i].source.c_str(), mounts_[i].attributes);
        if (trees[i] < 0) return false;
    }
    const int processes = process_folder();
    const int root = new_file_system("tmpfs");
    if (processes < 0 || root < 0 || !put(root, kStaging)) return false;
    for (const std::string& folder : folders_) {
        if (::mkdir(folder.c_str(), 0755) < 0 && errno != EEXIST) return false;
    }
    for (const std::string& file : files_) {
        if (::mknod(file.c_str(), S_IFREG | 0444, 0) < 0 && errno != EEXIST) return false;
    }
    for (size_t i = 0; i < mounts_.size(); i++) {
        if (!put(trees[i], mounts_[i].target.c_str())) return false;
    }
    if (::chdir(kStaging) < 0 || !put(processes, "proc")) return false;
    // pivot_root(2): the old root is then below the new one, at the same place, and can be let go.
    if (::syscall(SYS_pivot_root, ".", ".") < 0 || ::umount2(".", MNT_DETACH) < 0 || ::chdir("/") < 0) return false;
    mount_attr read_only{};
    read_only.attr_set = MOUNT_ATTR_RDONLY;
    return ::mount_setattr(AT_FDCWD, "/", 0, &read_only, sizeof read_only) == 0;
}

}  // namespace vm
