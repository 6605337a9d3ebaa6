#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/fd.h"
#include "dbg/volumes/guest_folder.h"
#include "dbg/volumes/volume_path.h"

namespace dbg {

// Keeps a place in a volume like a folder of the host's: files, folders, symbolic links, rwx bits and times of change. It goes one way: the
// host's folder is only read. What the guest makes or changes there stays until the host's entry of that name changes.
//
// inotify tells what changed, so a change costs what changed and no walk. Only the first sync walks the folder, and those after lost
// events; they compare with what was copied before, so deletions are found, too. Devices, FIFOs and sockets are left out. What cannot be
// read or written is logged and tried again when it changes.
//
// For one thread at a time; any thread may call `stop`.
class FolderSync {
public:
    // Throws base::Error where the folder cannot be watched. `staging`: GuestFolder.
    FolderSync(const std::filesystem::path& source, const VolumePlace& target, const std::filesystem::path& staging);

    // Readable when something has changed.
    const base::UniqueFd& events() const { return events_; }

    // Copies what changed before the call; returns whether anything did.
    bool sync();

    // Makes a running sync return early, and all later ones at once.
    void stop() { stopped_ = true; }

    // Entries of the host's folder that were looked at so far.
    uint64_t looked_at() const { return looked_at_; }

private:
    using Names = GuestFolder::Names;
    struct Entry {
        struct stat status = {};
        int watch = -1;  // of a folder
    };
    struct Folder {
        int parent = -1;
        std::string name = {};
        std::map<std::string, Entry> entries = {};  // what the target has
    };

    void read_events();
    void settle_changed();
    void scan_new();
    void scan(int folder);
    void update(int folder, const std::string& name);
    void update_folder(int folder, const std::string& name, const struct stat& status);
    bool adopt_moved(int watch, int folder, const std::string& name);
    void copy_file(int folder, const std::string& name, const struct stat& status);
    void copy_link(int folder, const std::string& name, const struct stat& status);
    void remove(int folder, const std::string& name);
    void forget(int watch);
    int watch(const std::filesystem::path& path);
    std::filesystem::path source_of(int folder) const;
    Names target_of(int folder) const;
    void put_names(int folder, Names& names) const;

    std::filesystem::path source_;
    GuestFolder target_;
    Names below_;  // where in the volume
    base::UniqueFd events_;
    int top_ = -1;
    std::unordered_map<int, Folder> folders_;  // by watch
    std::unordered_map<int, std::unordered_set<std::string>> changed_;
    std::vector<int> to_scan_;
    bool lost_ = true;      // what has changed is not known
    bool walking_ = false;  // every folder is looked at
    bool any_ = false;      // the current sync has changed the target
    std::atomic<bool> stopped_ = false;
    std::atomic<uint64_t> looked_at_ = 0;
};

}  // namespace dbg
