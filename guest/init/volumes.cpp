#include "init/volumes.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "init/disks.h"
#include "init/mounts.h"
#include "init/path.h"

namespace init {
namespace {

constexpr const char* kShare = "/share";
// mmap: the least caching with which a shared mmap works; the host accesses the same files.
constexpr const char* kShareOptions = "trans=virtio,version=9p2000.L,msize=1048576,cache=mmap";

Status mount_share(const std::string& tag) {
    if (tag.empty()) return {};
    return mount_at(kShare, {tag, "9p", 0, kShareOptions});
}

// What a volume takes over from the image's directory; the image's User must be able to write to it.
Volumes::Owner owner_for(const struct stat& st, const container::Identity& user) {
    const bool in_group = st.st_gid == user.gid || std::find(user.groups.begin(), user.groups.end(), st.st_gid) != user.groups.end();
    const mode_t needed = st.st_uid == user.uid ? 0300 : in_group ? 0030 : 0003;
    const mode_t mode = st.st_mode & 07777;
    if (user.uid == 0 || (mode & needed) == needed) return {st.st_uid, st.st_gid, mode};
    return {user.uid, user.gid, mode | 0700};
}

// Of a volume where the image has no such directory.
Volumes::Owner owner_of_new(const std::string& path, const container::Identity& user) {
    if (path == "/tmp" || path == "/var/tmp") return {0, 0, 01777};
    return {user.uid, user.gid, 0755};
}

// The mount for a volume; a shared volume's source is its folder.
Result<Mount> mount_of(const agent::Volume& volume) {
    switch (volume.source_case()) {
        case agent::Volume::kShared:
            return Mount{cat({kShare, "/", volume.shared()}), "", MS_BIND, ""};
        case agent::Volume::kRam:
            return Mount{"tmpfs", "tmpfs", 0, cat({"size=", std::to_string(volume.ram())})};
        case agent::Volume::kDisk: {
            const Result<std::string> disk = find_disk(volume.disk());
            if (!disk.ok()) return disk.status;
            const std::string errors = volume.errors().empty() ? "" : cat({",errors=", volume.errors()});
            return Mount{disk.value, "ext4", MS_NOATIME, cat({"discard", errors})};
        }
        default:
            return bad_request({"the volume ", volume.path(), " has no source"});
    }
}

}  // namespace

Volumes::Volumes(int root, const agent::Setup& setup, const container::Identity& user) : setup_(setup) {
    for (const agent::Volume& volume : setup.volumes()) {
        const Opened directory = open_inside(root, volume.path(), O_PATH | O_DIRECTORY);
        struct stat st {};
        if (directory.fd && ::fstat(directory.fd.get(), &st) == 0)
            owners_.push_back(owner_for(st, user));
        else
            owners_.push_back(owner_of_new(volume.path(), user));
    }
}

Status Volumes::mount(int root) {
    if (Status status = mount_share(setup_.share()); !status.ok()) return status;
    for (int i = 0; i < setup_.volumes_size(); i++) {
        const agent::Volume& volume = setup_.volumes(i);
        const Result<base::UniqueFd> target = make_directory(root, volume.path());
        if (!target.ok()) return target.status;
        const Result<Mount> mount = mount_of(volume);
        if (!mount.ok()) return mount.status;
        if (Status status = mount_on(target.value.get(), volume.path(), mount.value); !status.ok()) return status;
        // The descriptor is still the directory below the mount; the path leads to the mounted file system.
        const Opened mounted = open_inside(root, volume.path(), O_RDONLY | O_DIRECTORY);
        if (!mounted.fd) return failure(mounted.error, {"cannot open the volume ", volume.path()});
        const Owner& owner = owners_[static_cast<size_t>(i)];
        if (::fchown(mounted.fd.get(), owner.uid, owner.gid) < 0 || ::fchmod(mounted.fd.get(), owner.mode) < 0)
            return failure(errno, {"cannot set the owner of the volume ", volume.path()});
        // A new volume must be empty: some programs, such as databases, require an empty directory.
        if (volume.source_case() == agent::Volume::kDisk) (void)::unlinkat(mounted.fd.get(), "lost+found", AT_REMOVEDIR);
    }
    return {};
}

}  // namespace init
