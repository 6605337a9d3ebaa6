#include "runtime/volumes/mapped_entry.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace runtime {
namespace {

// QEMU's names (hw/9pfs/9p-local.c), each a 32-bit number, little-endian. It hides all of "user.virtfs." from the guest.
constexpr const char* kMode = "user.virtfs.mode";
constexpr const char* kUid = "user.virtfs.uid";
constexpr const char* kGid = "user.virtfs.gid";
constexpr const char* kAgreed = "user.virtfs.gvmkit.agreed";  // ours: the rwx bits that both sides agreed on last

constexpr mode_t kBits = 0777;
constexpr const char* kStaged = ".taken-over";

// One inode, whatever happens to its name.
class Inode {
public:
    Inode(int fd, const struct stat& st) : path_("/proc/self/fd/" + std::to_string(fd)), mode_(st.st_mode) {}

    mode_t mode() const { return mode_ & 07777; }
    mode_t type() const { return mode_ & S_IFMT; }
    // What QEMU needs to access the entry and its attributes; also the mode of entries that it creates.
    mode_t needed() const { return type() == S_IFDIR ? 0700 : 0600; }
    // What an archiver on the host needs.
    mode_t readable() const { return needed() & 0500; }

    void set_mode(mode_t mode) {
        if (mode == this->mode()) return;
        if (::chmod(path_.c_str(), mode) < 0) base::throw_errno("cannot set the mode");
        mode_ = type() | mode;
    }

    // Nothing where there is no attribute of that size.
    std::optional<uint32_t> number(const char* name) {
        uint32_t value = 0;
        ssize_t size = ::getxattr(path_.c_str(), name, &value, sizeof value);
        if (size < 0 && errno == EACCES) {
            set_mode(mode() | needed());
            size = ::getxattr(path_.c_str(), name, &value, sizeof value);
        }
        if (size < 0 && errno != ENODATA && errno != ERANGE) base::throw_errno("cannot read its attributes");
        if (size != sizeof value) return std::nullopt;
        return le32toh(value);
    }

    void set_number(const char* name, uint32_t number) {
        const uint32_t value = htole32(number);
        if (::setxattr(path_.c_str(), name, &value, sizeof value, 0) == 0) return;
        if (errno == EACCES) {
            set_mode(mode() | needed());
            if (::setxattr(path_.c_str(), name, &value, sizeof value, 0) == 0) return;
        }
        base::throw_errno("cannot set its attributes");
    }

private:
    std::string path_;
    mode_t mode_;
};

// The rwx bits that both sides shall have; writes missing attributes. Nothing where the guest sees another type, such as a symbolic link.
std::optional<mode_t> agree(Inode& inode, const GuestOwner& owner) {
    const mode_t host = inode.mode();
    const std::optional<uint32_t> guest = inode.number(kMode);
    if (!guest) {
        inode.set_number(kUid, owner.uid);
        inode.set_number(kGid, owner.gid);
        inode.set_number(kAgreed, host & kBits);
        inode.set_number(kMode, inode.type() | (host & kBits));
        return host & kBits;
    }
    if ((*guest & S_IFMT) != inode.type()) return std::nullopt;
    const mode_t agreed = inode.number(kAgreed).value_or(inode.needed()) & kBits;
    if ((*guest & kBits) != agreed) {
        inode.set_number(kAgreed, *guest & kBits);
        return *guest & kBits;
    }
    if (host == agreed || host == (agreed | inode.needed()) || host == (agreed | inode.readable())) return agreed;
    inode.set_number(kMode, (*guest & ~kBits) | (host & kBits));
    inode.set_number(kAgreed, host & kBits);
    return host & kBits;
}

Entry settle_inode(base::UniqueFd fd, const struct stat& st, const EntryRules& rules) {
    Inode inode(fd.get(), st);
    const std::optional<mode_t> bits = agree(inode, rules.owner);
    Entry entry{.kind = Entry::Kind::other, .inode = st.st_ino};
    if (bits) {
        inode.set_mode(*bits | (rules.in_use ? inode.needed() : inode.readable()));
        entry.narrow = (*bits & inode.needed()) != inode.needed();
    }
    if (inode.type() == S_IFDIR) {
        entry.kind = Entry::Kind::folder;
        entry.folder = std::move(fd);
    }
    return entry;
}

// Swaps the link with the staged file: the host may have put something else there meanwhile, which must stay.
void replace_link(int link, int folder, const std::string& name, int staging) {
    const auto exchange = [&] { return ::renameat2(staging, kStaged, folder, name.c_str(), RENAME_EXCHANGE); };
    if (exchange() < 0) {
        if (errno == ENOENT) return;
        // Not every file system can exchange.
        if (errno != EINVAL || ::renameat(staging, kStaged, folder, name.c_str()) < 0)
            base::throw_errno("cannot replace the symbolic link");
        return;
    }
    struct stat expected {};
    struct stat found {};
    const bool known = ::fstat(link, &expected) == 0 && ::fstatat(staging, kStaged, &found, AT_SYMLINK_NOFOLLOW) == 0;
    if (!known || found.st_ino != expected.st_ino) (void)exchange();
    (void)::unlinkat(staging, kStaged, 0);
}

// Replaces a host's symbolic link by the file that is a link for the guest. It is made where the guest does not see it.
void take_over_link(int link, int folder, const std::string& name, const EntryRules& rules) {
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(link, "", target, sizeof target);
    if (size < 0) base::throw_errno("cannot read the symbolic link");
    (void)::unlinkat(rules.staging, kStaged, 0);
    const base::UniqueFd file(::openat(rules.staging, kStaged, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) base::throw_errno("cannot make a file for a symbolic link");
    base::write_all(file.get(), std::string_view(target, static_cast<size_t>(size)), kStaged);
    Inode staged(file.get(), {});
    staged.set_number(kUid, rules.owner.uid);
    staged.set_number(kGid, rules.owner.gid);
    staged.set_number(kMode, S_IFLNK | kBits);
    replace_link(link, folder, name, rules.staging);
}

}  // namespace

Entry settle(int folder, const std::string& name, const EntryRules& rules) {
    base::UniqueFd fd(::openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && errno == ENOENT) return {};
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) < 0) base::throw_errno("cannot look at it");
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return settle_inode(std::move(fd), st, rules);
    if (S_ISLNK(st.st_mode)) take_over_link(fd.get(), folder, name, rules);
    return {.kind = Entry::Kind::other};
}

}  // namespace runtime
