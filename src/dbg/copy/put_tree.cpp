#include "dbg/copy/put_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/folders.h"
#include "base/rlimit.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace {

// A name in an open folder.
struct Entry {
    int folder;
    std::string name;
    std::string shown;
};

std::optional<mode_t> mode_of(const Entry& entry) {
    struct stat status {};
    if (::fstatat(entry.folder, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return status.st_mode;
    if (errno != ENOENT) base::throw_errno("cannot examine ", entry.shown);
    return std::nullopt;
}

base::UniqueFd enter(const Entry& entry) {
    base::UniqueFd fd(::openat(entry.folder, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) base::throw_errno("cannot open ", entry.shown);
    return fd;
}

// Calls visit(made, target) for every pair that is to be moved. Recursive where both are folders; PATH_MAX bounds the depth.
template <typename F>
void pairs(const Entry& made, const Entry& target, const F& visit) {
    const mode_t mode = mode_of(made).value();
    const std::optional<mode_t> there = mode_of(target);
    if (there && S_ISDIR(*there) != S_ISDIR(mode)) {
        throw base::Error(S_ISDIR(mode) ? "cannot overwrite the non-folder " + base::quote(target.shown) + " with a folder"
                                        : "cannot overwrite the folder " + base::quote(target.shown) + " with a non-folder");
    }
    if (!there || !S_ISDIR(mode)) return visit(made, target, mode);
    // It may forbid its owner to read it, or to take anything out of it.
    if (!base::give_to_owner(made.folder, made.name.c_str(), 0)) base::throw_errno("cannot open ", made.shown);
    const base::UniqueFd from = enter(made);
    const base::UniqueFd to = enter(target);
    for (const std::string& name : base::with_context(made.shown, [&] { return base::names_in(from.get()); }))
        pairs(Entry{from.get(), name, made.shown + "/" + name}, Entry{to.get(), name, target.shown + "/" + name}, visit);
}

// A folder that forbids its owner to write cannot leave its folder, since its ".." changes.
void move(const Entry& made, const Entry& target, mode_t mode) {
    base::UniqueFd folder;
    if (S_ISDIR(mode)) {
        folder = base::give_to_owner(made.folder, made.name.c_str(), 07777);
        if (!folder) base::throw_errno("cannot open ", made.shown);
    }
    if (::renameat(made.folder, made.name.c_str(), target.folder, target.name.c_str()) < 0)
        base::throw_errno("cannot write ", target.shown);
    const std::string self = "/proc/self/fd/" + std::to_string(folder.get());
    if (folder && ::chmod(self.c_str(), mode & 07777) < 0) base::throw_errno("cannot set the mode of ", target.shown);
}

}  // namespace

void put_tree(const std::filesystem::path& made, const std::filesystem::path& target) {
    base::raise_soft_limit(RLIMIT_NOFILE);  // each folder on the way down is held open
    const Entry from{AT_FDCWD, made.string(), made.string()};
    const Entry to{AT_FDCWD, target.string(), target.string()};
    pairs(from, to, [](const Entry&, const Entry&, mode_t) {});
    pairs(from, to, move);
}

}  // namespace dbg
