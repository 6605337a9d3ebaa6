#include "dbg/volumes/guest_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace {

constexpr const char* kStaged = "staged";
constexpr mode_t kBits = 0777;
constexpr int kFolderFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::filesystem::path place(int folder, const std::string& name) {
    return std::filesystem::path("/proc/self/fd") / std::to_string(folder) / name;
}

}  // namespace

GuestFolder::GuestFolder(const std::filesystem::path& top, const std::filesystem::path& staging)
    : top_(base::open_file(top, O_PATH | O_DIRECTORY | O_NOFOLLOW)), staging_(base::open_file(staging, O_PATH | O_DIRECTORY)) {}

int GuestFolder::open(const Names& folder, bool make) {
    if (opened_ && folder == opened_names_) return opened_.get();
    base::UniqueFd fd(::openat(top_.get(), ".", kFolderFlags));
    for (const std::string& name : folder) {
        base::UniqueFd next(::openat(fd.get(), name.c_str(), kFolderFlags));
        if (!next && make) {
            if (errno == ENOTDIR || errno == ELOOP) base::remove_tree(place(fd.get(), name));
            (void)::mkdirat(fd.get(), name.c_str(), kBits & ~static_cast<mode_t>(022));
            next.reset(::openat(fd.get(), name.c_str(), kFolderFlags));
        }
        if (!next) base::throw_errno("cannot open the folder ", base::quote(name));
        fd = std::move(next);
    }
    opened_ = std::move(fd);
    opened_names_ = folder;
    return opened_.get();
}

base::UniqueFd GuestFolder::stage() {
    (void)::unlinkat(staging_.get(), kStaged, 0);
    base::UniqueFd fd(::openat(staging_.get(), kStaged, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!fd) base::throw_errno("cannot make a file beside the volume");
    return fd;
}

void GuestFolder::move_staged(int folder, const std::string& name) {
    if (::renameat(staging_.get(), kStaged, folder, name.c_str()) == 0) return;
    if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) {
        base::remove_tree(place(folder, name));
        if (::renameat(staging_.get(), kStaged, folder, name.c_str()) == 0) return;
    }
    base::throw_errno("cannot write ", base::quote(name));
}

void GuestFolder::put(const Names& folder, const std::string& name) {
    try {
        move_staged(open(folder, true), name);
    } catch (const base::SystemError& e) {
        if (e.error_number() != ENOENT) throw;
        forget();  // the guest has removed the folder
        move_staged(open(folder, true), name);
    }
}

void GuestFolder::put_link(const Names& folder, const std::string& name, const std::string& target) {
    (void)::unlinkat(staging_.get(), kStaged, 0);
    if (::symlinkat(target.c_str(), staging_.get(), kStaged) < 0) base::throw_errno("cannot make the link ", base::quote(name));
    put(folder, name);
}

void GuestFolder::put_folder(const Names& folder, const std::string& name, mode_t mode) {
    const int parent = open(folder, true);
    if (::mkdirat(parent, name.c_str(), mode & kBits) < 0) {
        const base::UniqueFd there(::openat(parent, name.c_str(), kFolderFlags));
        if (!there) {
            base::remove_tree(place(parent, name));
            if (::mkdirat(parent, name.c_str(), mode & kBits) < 0) base::throw_errno("cannot make the folder ", base::quote(name));
        }
    }
    set_mode(folder, name, mode);
}

void GuestFolder::set_mode(const Names& folder, const std::string& name, mode_t mode) {
    const base::UniqueFd fd(::openat(open(folder, true), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) < 0 || S_ISLNK(st.st_mode)) return;
    if (::chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), mode & kBits) < 0)
        base::throw_errno("cannot change the mode of ", base::quote(name));
}

void GuestFolder::remove(const Names& folder, const std::string& name) {
    try {
        base::remove_tree(place(open(folder, false), name));
    } catch (const base::SystemError& e) {
        if (e.error_number() != ENOENT && e.error_number() != ENOTDIR) throw;
    }
    forget();
}

bool GuestFolder::move(const Names& from_folder, const std::string& from, const Names& to_folder, const std::string& to) {
    try {
        const base::UniqueFd source(::openat(open(from_folder, false), ".", kFolderFlags));
        const bool moved = source && ::renameat2(source.get(), from.c_str(), open(to_folder, true), to.c_str(), RENAME_NOREPLACE) == 0;
        forget();
        return moved;
    } catch (const base::SystemError&) {
        return false;
    }
}

base::UniqueFd GuestFolder::open_file(const Names& folder, const std::string& name) {
    base::UniqueFd fd(::openat(open(folder, false), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) < 0) base::throw_errno("cannot open ", base::quote(name));
    if (!S_ISREG(st.st_mode)) throw base::SystemError(S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "cannot read " + base::quote(name));
    return fd;
}

}  // namespace dbg
