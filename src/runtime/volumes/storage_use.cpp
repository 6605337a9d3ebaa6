#include "runtime/volumes/storage_use.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

#include "base/folders.h"

namespace runtime {
namespace {

constexpr uint64_t kBlock = 512;  // of st_blocks: stat(2)

base::UniqueFd open_folder(int parent, const char* name, int flags) {
    return base::UniqueFd(::openat(parent, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// Recursive, and holds a descriptor for each level: kMaxNesting bounds both, and so does the process's limit of descriptors.
void add_below(base::UniqueFd fd, size_t level, StorageUse& use, const std::atomic<bool>& stopped) {
    const base::Folder folder = base::read_folder(std::move(fd));
    if (!folder) return;
    while (const dirent* entry = stopped ? nullptr : base::next_entry(folder.get())) {
        struct stat status {};
        if (::fstatat(::dirfd(folder.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
        // The names of one file share its cost; a table of those seen could be made long.
        const auto names = S_ISDIR(status.st_mode) ? uint64_t{1} : std::max<uint64_t>(status.st_nlink, 1);
        use.bytes += allocated(status) / names;
        use.inodes += kInodeBytes / names;
        if (!S_ISDIR(status.st_mode)) continue;
        base::UniqueFd below;
        if (level < kMaxNesting) below = open_folder(::dirfd(folder.get()), entry->d_name, O_RDONLY);
        if (below) {
            add_below(std::move(below), level + 1, use, stopped);
        } else if (level == kMaxNesting || errno == EMFILE) {
            use.too_deep = level;
        }
    }
}

// Moves a folder up into `top` under a name that is free there.
bool move_up(int parent, const char* name, int top, unsigned& counter) {
    for (;;) {
        const std::string free_name = "nested-" + std::to_string(counter++);
        if (::renameat2(parent, name, top, free_name.c_str(), RENAME_NOREPLACE) == 0) return true;
        if (errno != EEXIST) return false;
    }
}

// Returns whether anything was moved up.
bool open_up(int top, base::UniqueFd fd, size_t level, unsigned& counter, const std::atomic<bool>& stopped) {
    const base::Folder folder = base::read_folder(std::move(fd));
    bool moved = false;
    while (const dirent* entry = folder && !stopped ? base::next_entry(folder.get()) : nullptr) {
        if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
        const int parent = ::dirfd(folder.get());
        base::UniqueFd below = base::give_to_owner(parent, entry->d_name, 0777);
        if (!below) continue;
        base::UniqueFd readable;
        if (level < kMaxNesting) readable = open_folder(below.get(), ".", O_RDONLY);
        const bool too_deep = level == kMaxNesting || (!readable && errno == EMFILE && level > 0);
        below.reset();  // one descriptor for each level
        if (readable) {
            moved |= open_up(top, std::move(readable), level + 1, counter, stopped);
        } else if (too_deep) {
            moved |= move_up(parent, entry->d_name, top, counter);
        }
    }
    return moved;
}

}  // namespace

uint64_t allocated(const struct stat& status) {
    return static_cast<uint64_t>(status.st_blocks) * kBlock;
}

StorageUse storage_below(int folder, const std::atomic<bool>& stopped) {
    StorageUse use;
    add_below(open_folder(folder, ".", O_RDONLY), 0, use, stopped);
    return use;
}

uint64_t unnamed_bytes(pid_t process, int folder, std::span<const base::UniqueFd> known) {
    struct stat top {};
    if (::fstat(folder, &top) < 0) return 0;
    const std::string path = "/proc/" + std::to_string(process) + "/fd";
    const base::Folder descriptors = base::read_folder(open_folder(AT_FDCWD, path.c_str(), O_RDONLY));
    if (!descriptors) return 0;
    const auto is_known = [known](const struct stat& file) {
        return std::any_of(known.begin(), known.end(), [&file](const base::UniqueFd& fd) {
            struct stat other {};
            return ::fstat(fd.get(), &other) == 0 && other.st_dev == file.st_dev && other.st_ino == file.st_ino;
        });
    };
    uint64_t bytes = 0;
    while (const dirent* entry = ::readdir(descriptors.get())) {
        struct stat file {};
        if (::fstatat(::dirfd(descriptors.get()), entry->d_name, &file, 0) < 0) continue;
        if (S_ISREG(file.st_mode) && file.st_nlink == 0 && file.st_dev == top.st_dev && !is_known(file)) bytes += allocated(file);
    }
    return bytes;
}

void make_removable(int folder, const std::atomic<bool>& stopped) {
    unsigned counter = 0;
    // What was moved up may itself be too deep.
    while (open_up(folder, open_folder(folder, ".", O_RDONLY), 0, counter, stopped)) {
    }
}

}  // namespace runtime
