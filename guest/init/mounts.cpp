#include "init/mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "init/path.h"

namespace init {
namespace {

constexpr unsigned long kInert = MS_NOSUID | MS_NODEV | MS_NOEXEC;

struct SystemMount {
    const char* path;
    const char* type;
    unsigned long flags;
    const char* options;
};

// Outer paths first. devpts gives terminals to group 5, tty in every distribution.
constexpr SystemMount kSystemMounts[] = {
    {"/proc", "proc", kInert, ""},
    {"/sys", "sysfs", kInert, ""},
    {"/sys/fs/cgroup", "cgroup2", kInert, "nsdelegate"},
    {"/dev", "devtmpfs", MS_NOSUID, "mode=755"},
    {"/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=620,gid=5,ptmxmode=666"},
    {"/dev/shm", "tmpfs", kInert, "mode=1777"},
    {"/dev/mqueue", "mqueue", kInert, ""},
};

struct Link {
    const char* path;
    const char* target;
};

constexpr Link kDeviceLinks[] = {
    {"dev/fd", "/proc/self/fd"},
    {"dev/stdin", "/proc/self/fd/0"},
    {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"},
};

// udev would set these modes; the kernel makes the devices for root only.
constexpr const char* kOpenDevices[] = {"dev/fuse", "dev/net/tun", "dev/ptmx"};

}  // namespace

std::vector<const char*> system_mount_points() {
    std::vector<const char*> paths;
    for (const SystemMount& mount : kSystemMounts)
        paths.push_back(mount.path);
    return paths;
}

Status mount_at(const std::string& path, const Mount& mount) {
    if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST) return failure(errno, {"cannot make ", path});
    if (::mount(mount.source.c_str(), path.c_str(), mount.type.c_str(), mount.flags, mount.options.c_str()) < 0)
        return failure(errno, {"cannot mount ", mount.source, " (", mount.type, ") on ", path});
    return {};
}

Status mount_on(int directory, std::string_view name, const Mount& mount) {
    const std::string target = cat({"/proc/self/fd/", std::to_string(directory)});
    const char* type = mount.type.empty() ? nullptr : mount.type.c_str();
    if (::mount(mount.source.c_str(), target.c_str(), type, mount.flags, mount.options.c_str()) < 0)
        return failure(errno, {"cannot mount ", mount.type.empty() ? mount.source : mount.type, " on ", name});
    return {};
}

Status mount_early() {
    const SystemMount early[] = {{"/proc", "proc", kInert, ""}, {"/sys", "sysfs", kInert, ""}, {"/dev", "devtmpfs", MS_NOSUID, ""}};
    for (const SystemMount& m : early) {
        Status status = mount_at(m.path, {m.type, m.type, m.flags, m.options});
        // The kernel has mounted /dev itself where it is configured to.
        if (!status.ok() && errno != EBUSY) return status;
    }
    return {};
}

Status mount_system(int root) {
    for (const SystemMount& m : kSystemMounts) {
        const Result<base::UniqueFd> directory = make_directory(root, m.path);
        if (!directory.ok()) return directory.status;
        if (Status status = mount_on(directory.value.get(), m.path, {m.type, m.type, m.flags, m.options}); !status.ok()) return status;
    }
    for (const Link& link : kDeviceLinks)
        (void)::symlinkat(link.target, root, link.path);
    for (const char* device : kOpenDevices)
        (void)::fchmodat(root, device, 0666, 0);
    return {};
}

}  // namespace init
