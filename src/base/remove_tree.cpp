#include "base/remove_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/folders.h"

namespace base {
namespace {

Folder open_folder(int parent, const char* name) {
    (void)give_to_owner(parent, name, 0);  // its mode may lock its owner out
    UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) throw_errno("cannot open ", name);
    Folder folder = read_folder(std::move(fd));
    if (!folder) throw_errno("cannot read ", name);
    return folder;
}

// Removes what is directly in top/name; non-empty folders are moved up into `top` under a new name, so the depth never matters.
void empty_folder(int top, const char* name, uint64_t& counter) {
    const Folder folder = open_folder(top, name);
    const int fd = ::dirfd(folder.get());
    while (const dirent* found = next_entry(folder.get())) {
        const char* const entry = found->d_name;
        if (::unlinkat(fd, entry, 0) == 0 || ::unlinkat(fd, entry, AT_REMOVEDIR) == 0) continue;
        (void)give_to_owner(fd, entry, 0);  // a folder that cannot be written cannot be moved either
        // An interrupted removal may have left a moved folder under this name.
        while (::renameat(fd, entry, top, (".removed-" + std::to_string(counter++)).c_str()) < 0) {
            if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) throw_errno("cannot remove ", entry);
        }
    }
}

}  // namespace

void remove_tree(const std::filesystem::path& path) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return;
    with_context("cannot remove " + path.string(), [&path] {
        const Folder top = open_folder(AT_FDCWD, path.c_str());
        const int fd = ::dirfd(top.get());
        uint64_t counter = 0;
        // A pass may skip names that were moved here during it; the last one finds none.
        for (bool found = true; found;) {
            found = false;
            ::rewinddir(top.get());
            while (const dirent* entry = next_entry(top.get())) {
                const char* const name = entry->d_name;
                found = true;
                if (::unlinkat(fd, name, 0) == 0) continue;
                empty_folder(fd, name, counter);
                if (::unlinkat(fd, name, AT_REMOVEDIR) < 0) throw_errno("cannot remove ", name);
            }
        }
        if (::rmdir(path.c_str()) < 0) throw_errno("cannot remove the folder");
    });
}

}  // namespace base
