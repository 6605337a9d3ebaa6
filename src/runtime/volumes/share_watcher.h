#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/fd.h"
#include "runtime/volumes/mapped_entry.h"

namespace runtime {

// The folder that a VM shares by 9p, and what has changed below it. inotify tells: it reports QEMU's calls and the supervisor's alike, and
// has queued them when the call returns. So a sync costs what was changed and not what is there. Only the first one walks the whole tree,
// and those where events were lost or the host's limit of watches was reached. Every folder is reached from the share's own by openat, name
// by name, without following anything, and is the one that was meant (its inode).
//
// Not of one thread, but one at a time; `stop` is of any.
class ShareWatcher {
public:
    // Folders that are watched; what lies in more keeps the modes that QEMU gave it (0600, 0700).
    static constexpr size_t kMaxFolders = 100'000;
    // Levels below the share; deeper ones keep those modes too, since each folder is reached from the top.
    static constexpr size_t kMaxDepth = 512;
    // Entries whose own mode would keep QEMU out that get it exactly; more keep the owner's rw. They are what each command has to change.
    static constexpr size_t kMaxNarrow = 2000;

    // `staging` is a folder on the same file system that the guest does not see. Throws base::Error.
    ShareWatcher(const std::filesystem::path& share, const std::filesystem::path& staging, GuestOwner owner);

    // Readable when something has changed; none where that is not told.
    const base::UniqueFd& events() const { return events_; }

    // Settles (mapped_entry.h) whatever has changed before the call. `in_use`: the guest runs something. What cannot be settled is logged,
    // not thrown.
    void sync(bool in_use);

    // Lets a running sync return early, and all later ones at once.
    void stop() { stopped_ = true; }

private:
    using Names = std::unordered_map<int, std::unordered_set<std::string>>;  // by folder
    // By its watch, or a number of our own where nothing is watched.
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
    bool full_ = false;  // there are more folders than are watched
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
