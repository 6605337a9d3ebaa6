#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/fd.h"
#include "runtime/volumes/mapped_entry.h"

namespace runtime {

// The folder that a VM shares by 9p, and the changes below it. inotify reports QEMU's calls and the supervisor's alike, and has queued them
// when the call returns. So the cost of a sync depends on the changes and not on the number of files. Only the first sync walks the
// complete tree, and those after lost events or at the host's limit of watches. Every folder is reached from the share's own by openat,
// name by name, without following links, and checked by its inode.
//
// For one thread at a time; any thread may call `stop`.
class ShareWatcher {
public:
    // Folders that are watched; entries of others keep the modes that QEMU gave them (0600, 0700).
    static constexpr size_t kMaxFolders = 100'000;
    // Levels below the share; deeper entries keep those modes too, since each folder is reached from the top.
    static constexpr size_t kMaxDepth = 512;
    // Entries whose exact mode would keep QEMU out and that get it anyway at rest; others keep the owner's rw. Each command has to change
    // them.
    static constexpr size_t kMaxNarrow = 2000;

    // `staging` is a folder on the same file system that the guest does not see. Throws base::Error.
    ShareWatcher(const std::filesystem::path& share, const std::filesystem::path& staging, GuestOwner owner);

    // Readable when something has changed; none where changes are not reported.
    const base::UniqueFd& events() const { return events_; }

    // Settles (mapped_entry.h) everything that changed before the call. `in_use`: the guest runs something. Failures are logged, not
    // thrown.
    void sync(bool in_use);

    // The VM has ended: gives the folders that keep their owner out back to it. These are known (kMaxNarrow), so it needs no walk.
    void give_back();
    // All of them, by a walk, and those that are nested too deep (storage_use.h).
    void make_removable();

    // Makes a running sync return early, and all later ones at once.
    void stop() { stopped_ = true; }

private:
    using Names = std::unordered_map<int, std::unordered_set<std::string>>;  // by folder
    // Its watch, or a number of our own where it is not watched.
    struct Folder {
        int parent = -1;
        std::string name = {};
        ino_t inode = 0;
    };

    void read_events();
    void mark(int folder, const std::string& name);
    void walk();
    void scan_new();
    void scan(int folder);
    void settle_changed();
    bool settle_once();
    void settle_narrow(bool in_use);
    std::vector<std::tuple<size_t, int, std::string>> narrow_by_depth() const;
    Entry settle_one(int fd, int folder, const std::string& name, bool in_use);
    void settle_and_adopt(int fd, int folder, const std::string& name);
    void adopt(int parent, const std::string& name, const Entry& entry);
    int watch(int fd);
    void forget(int folder);
    bool path_to(int folder, std::vector<const std::string*>& names) const;
    base::UniqueFd open(int folder, int flags) const;

    base::UniqueFd share_;
    base::UniqueFd staging_;
    base::UniqueFd events_;
    GuestOwner owner_;
    bool watched_ = true;
    bool lost_ = true;  // what has changed is not known
    bool in_use_ = false;
    bool full_ = false;  // there are more folders than can be watched
    std::atomic<bool> stopped_ = false;
    int top_ = -1;
    int last_unwatched_ = 1 << 30;  // above all watches
    std::unordered_map<int, Folder> folders_;
    std::vector<int> to_scan_;
    Names changed_;
    size_t changed_count_ = 0;
    Names narrow_;
    size_t narrow_count_ = 0;
    size_t failures_ = 0;
};

}  // namespace runtime
