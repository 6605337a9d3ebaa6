#include "init/root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "init/disks.h"
#include "init/drivers.h"
#include "init/mounts.h"

namespace init {
namespace {

constexpr const char* kWritable = "/writable";
constexpr const char* kWork = "/writable/work";
constexpr const char* kRoot = "/root";

Status mount_writable(const agent::Setup& setup) {
    if (setup.root_case() == agent::Setup::kRootRam) {
        const std::string size = cat({"mode=755,size=", std::to_string(setup.root_ram())});
        return mount_at(kWritable, {"tmpfs", "tmpfs", 0, size});
    }
    const Result<std::string> disk = find_disk(setup.root_disk());
    if (!disk.ok()) return disk.status;
    // A failed write on the host must not end the VM or make the root read-only.
    return mount_at(kWritable, {disk.value, "ext4", MS_NOATIME, "discard,errors=continue"});
}

// The overlay's root directory is the upper one, so that takes over what the image says of it.
Status copy_attributes(const std::string& from, const std::string& to) {
    struct stat st {};
    if (::stat(from.c_str(), &st) < 0 || ::chown(to.c_str(), st.st_uid, st.st_gid) < 0 || ::chmod(to.c_str(), st.st_mode & 07777) < 0)
        return failure(errno, {"cannot give the root directory the image's mode"});
    char names[4096];
    const ssize_t size = ::listxattr(from.c_str(), names, sizeof names);
    for (const char* name = names; name < names + size; name += std::string_view(name).size() + 1) {
        char value[4096];
        const ssize_t length = ::getxattr(from.c_str(), name, value, sizeof value);
        if (length >= 0) (void)::setxattr(to.c_str(), name, value, static_cast<size_t>(length), 0);
    }
    const timespec times[2] = {st.st_atim, st.st_mtim};
    (void)::utimensat(AT_FDCWD, to.c_str(), times, 0);
    return {};
}

}  // namespace

Result<base::UniqueFd> make_root(const agent::Setup& setup) {
    if (setup.images().empty()) return bad_request({"there is no image"});
    std::string lower;
    if (!setup.driver_files().empty()) {
        const Result<std::string> disk = find_disk(setup.driver_files());
        if (!disk.ok()) return disk.status;
        if (Status status = mount_at(kDriverFolder, {disk.value, "squashfs", MS_RDONLY, ""}); !status.ok()) return status;
        lower = cat({kDriverFolder, ":"});
    }
    for (int i = 0; i < setup.images_size(); i++) {
        const Result<std::string> disk = find_disk(setup.images(i));
        if (!disk.ok()) return disk.status;
        const std::string path = cat({"/image", std::to_string(i)});
        if (Status status = mount_at(path, {disk.value, "squashfs", MS_RDONLY, ""}); !status.ok()) return status;
        if (i > 0) lower += ':';
        lower += path;
    }
    if (lower.find(':') != std::string::npos) {
        if (Status status = mount_at(kImages, {"images", "overlay", MS_RDONLY, cat({"lowerdir=", lower})}); !status.ok()) return status;
    }
    if (Status status = mount_writable(setup); !status.ok()) return status;
    for (const char* path : {kUpper, kWork}) {
        if (::mkdir(path, 0755) < 0 && errno != EEXIST) return failure(errno, {"cannot make ", path});
    }
    if (Status status = copy_attributes(kFirstImage, kUpper); !status.ok()) return status;
    // redirect_dir: directories of the image can be renamed. index: hard links of the image stay links when they are written. Not xino: it
    // would make the root one device, but with inode numbers above 2^63, which 32-bit programs and JavaScript misread.
    const std::string options = cat({"redirect_dir=on,index=on,lowerdir=", lower, ",upperdir=", kUpper, ",workdir=", kWork});
    if (Status status = mount_at(kRoot, {"root", "overlay", MS_NOATIME, options}); !status.ok()) return status;
    base::UniqueFd root(::open(kRoot, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return failure(errno, {"cannot open the new root"});
    return root;
}

Status switch_root(int root) {
    if (::fchdir(root) < 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) < 0 || ::chroot(".") < 0 || ::chdir("/") < 0)
        return failure(errno, {"cannot switch to the new root"});
    // As systemd leaves it: container engines propagate mounts to running containers only from a shared mount.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) < 0) return failure(errno, {"cannot share the mounts"});
    return {};
}

}  // namespace init
