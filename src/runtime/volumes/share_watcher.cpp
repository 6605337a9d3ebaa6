#include "runtime/volumes/share_watcher.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/untrusted_text.h"
#include "runtime/volumes/storage_use.h"

namespace runtime {
namespace {

constexpr uint32_t kEvents = IN_CREATE | IN_ATTRIB | IN_MOVED_TO | IN_ONLYDIR;
constexpr size_t kMaxChanged = 50'000;  // names in memory; beyond that a walk is cheaper

}  // namespace

ShareWatcher::ShareWatcher(const std::filesystem::path& share, const std::filesystem::path& staging, GuestOwner owner)
    : share_(base::open_file(share, O_PATH | O_DIRECTORY)),
      staging_(base::open_file(staging, O_PATH | O_DIRECTORY)),
      events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      owner_(owner),
      watched_(events_.get() >= 0) {
    if (!watched_) spdlog::warn("the volumes cannot be watched and are walked at each command: {}", base::errno_text(errno));
}

void ShareWatcher::sync(bool in_use) {
    if (stopped_) return;
    read_events();
    if (!watched_) lost_ = true;
    if (!lost_ && changed_.empty() && in_use == in_use_) return;
    failures_ = 0;
    if (!in_use && !in_use_) {
        // The supervisor may be reading: leave alone what need not change. What needs a walk waits for the next command.
        if (!lost_) settle_changed();
        return;
    }
    if (!in_use_) {
        settle_narrow(true);
        read_events();  // our own changes
        in_use_ = true;
    }
    if (lost_) {
        walk();
    } else {
        settle_changed();
    }
    if (!in_use) {
        settle_narrow(false);
        in_use_ = false;
    }
}

// Takes over the events. At rest, changes of narrow entries are our own, or are seen when they are widened for the next command.
void ShareWatcher::read_events() {
    alignas(inotify_event) char buffer[64 << 10];
    for (;;) {
        const ssize_t size = events_ ? ::read(events_.get(), buffer, sizeof buffer) : 0;
        if (size <= 0) return;
        if (!watched_) continue;  // the ends of abandoned watches, which would keep the queue readable
        for (const char* at = buffer; at < buffer + size;) {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            at += sizeof(inotify_event) + event->len;
            if (event->mask & IN_Q_OVERFLOW) lost_ = true;
            if (event->mask & IN_IGNORED) forget(event->wd);
            // The narrow entries below it could not be found to be widened.
            if (!in_use_ && event->mask & IN_MOVED_TO && event->mask & IN_ISDIR) lost_ = true;
            if (event->len == 0 || lost_) continue;
            const auto narrow = narrow_.find(event->wd);
            const bool ours = !in_use_ && event->mask & IN_ATTRIB && narrow != narrow_.end() && narrow->second.contains(event->name);
            if (!ours) mark(event->wd, event->name);
        }
    }
}

void ShareWatcher::mark(int folder, const std::string& name) {
    if (!folders_.contains(folder) || !changed_[folder].insert(name).second) return;
    if (++changed_count_ < kMaxChanged) return;
    lost_ = true;
    changed_.clear();
    changed_count_ = 0;
}

void ShareWatcher::walk() {
    for (const auto& [folder, _] : folders_) {
        if (watched_) ::inotify_rm_watch(events_.get(), folder);
    }
    folders_.clear();
    changed_.clear();
    narrow_.clear();
    changed_count_ = narrow_count_ = 0;
    lost_ = true;  // so that events of forgotten folders are read and dropped
    read_events();
    lost_ = full_ = false;

    struct stat st {};
    top_ = watch(share_.get());
    if (::fstat(share_.get(), &st) < 0) base::throw_errno("cannot look at the volumes");
    folders_[top_] = {.inode = st.st_ino};
    to_scan_ = {top_};
    scan_new();
}

void ShareWatcher::scan_new() {
    while (!to_scan_.empty() && !stopped_) {
        const int folder = to_scan_.back();
        to_scan_.pop_back();
        scan(folder);
    }
    to_scan_.clear();
}

// Settles all that is directly in a folder.
void ShareWatcher::scan(int folder) {
    const base::Folder listing = base::read_folder(open(folder, O_RDONLY));
    if (!listing && !in_use_) lost_ = true;
    if (!listing) return forget(folder);
    while (const dirent* entry = stopped_ ? nullptr : base::next_entry(listing.get()))
        settle_and_adopt(::dirfd(listing.get()), folder, entry->d_name);
}

void ShareWatcher::settle_changed() {
    constexpr int kTries = 3;
    for (int i = 0; i < kTries && !changed_.empty() && !lost_; i++) {
        // The way to a moved folder is known once the outermost one has been found under its new name.
        while (settle_once() && !changed_.empty()) {
        }
        if (!changed_.empty()) read_events();
    }
    // What is not found now has left the share, or is at rest below a closed folder.
    if (!in_use_ && !changed_.empty()) lost_ = true;
    for (const auto& [folder, _] : std::exchange(changed_, {}))
        forget(folder);
    changed_count_ = 0;
    scan_new();
}

// Settles the changes in all folders that are where they should be; returns false where there were none.
bool ShareWatcher::settle_once() {
    bool any = false;
    changed_count_ = 0;
    for (auto& [folder, names] : std::exchange(changed_, {})) {
        const base::UniqueFd fd = open(folder, O_PATH);
        any |= static_cast<bool>(fd);
        for (const std::string& name : names) {
            if (!fd) mark(folder, name);
            if (fd && !stopped_) settle_and_adopt(fd.get(), folder, name);
        }
    }
    return any;
}

// The narrow entries, outer ones first: depth, folder, name.
std::vector<std::tuple<size_t, int, std::string>> ShareWatcher::narrow_by_depth() const {
    std::vector<std::tuple<size_t, int, std::string>> entries;
    std::vector<const std::string*> names_to;
    for (const auto& [folder, names] : narrow_) {
        (void)path_to(folder, names_to);
        for (const std::string& name : names)
            entries.emplace_back(names_to.size(), folder, name);
    }
    std::sort(entries.begin(), entries.end());
    return entries;
}

void ShareWatcher::give_back() {
    base::UniqueFd fd;
    int opened = -1;
    for (const auto& [_, folder, name] : narrow_by_depth()) {
        if (stopped_) return;
        if (folder != opened) fd = open(folder, O_PATH);
        opened = folder;
        if (fd) (void)base::give_to_owner(fd.get(), name.c_str(), 0777);
    }
}

void ShareWatcher::make_removable() {
    runtime::make_removable(share_.get(), stopped_);
}

// Gives the narrow entries their own modes, or those that QEMU needs. A closed folder must come after its contents.
void ShareWatcher::settle_narrow(bool in_use) {
    auto entries = narrow_by_depth();
    if (!in_use) std::reverse(entries.begin(), entries.end());
    base::UniqueFd fd;
    int opened = -1;
    for (const auto& [_, folder, name] : entries) {
        if (stopped_) return;
        if (folder != opened) fd = open(folder, O_PATH);
        opened = folder;
        if (fd && !settle_one(fd.get(), folder, name, in_use).narrow) narrow_count_ -= narrow_[folder].erase(name);
    }
}

Entry ShareWatcher::settle_one(int fd, int folder, const std::string& name, bool in_use) {
    // The supervisor must always get into a volume.
    const EntryRules rules{.owner = owner_, .staging = staging_.get(), .in_use = in_use || folder == top_};
    try {
        Entry entry = settle(fd, name, rules);
        if (folder == top_) entry.narrow = false;
        return entry;
    } catch (const base::Error& e) {
        if (failures_++ == 0) spdlog::warn("volumes: {}: {}", base::quote(name), e.what());
        return {};
    }
}

void ShareWatcher::settle_and_adopt(int fd, int folder, const std::string& name) {
    const Entry entry = settle_one(fd, folder, name, in_use_);
    if (entry.narrow && narrow_count_ < kMaxNarrow && narrow_[folder].insert(name).second) narrow_count_++;
    if (entry.kind == Entry::Kind::folder) adopt(folder, name, entry);
}

// A folder found under a name: a new one, or a moved one.
void ShareWatcher::adopt(int parent, const std::string& name, const Entry& entry) {
    const int number = watch(entry.folder.get());
    if (number < 0) return;
    const auto [folder, is_new] = folders_.try_emplace(number);
    folder->second = {.parent = parent, .name = name, .inode = entry.inode};
    if (!is_new) return;
    if (folders_.size() <= kMaxFolders) return to_scan_.push_back(number);
    if (!std::exchange(full_, true))
        spdlog::warn("the volumes have more than {} folders: the others keep the modes 0600 and 0700", kMaxFolders);
    forget(number);
}

// The number of a folder; -1 where it is no longer one.
int ShareWatcher::watch(int fd) {
    if (watched_) {
        const int number = ::inotify_add_watch(events_.get(), ("/proc/self/fd/" + std::to_string(fd)).c_str(), kEvents);
        if (number >= 0 || errno != ENOSPC) return number;
        spdlog::warn(
            "the host's limit of inotify watches (fs.inotify.max_user_watches) is reached: the volumes are walked at each command");
        for (const auto& [folder, _] : folders_)
            ::inotify_rm_watch(events_.get(), folder);
        watched_ = false;
    }
    return ++last_unwatched_;
}

void ShareWatcher::forget(int folder) {
    if (folders_.erase(folder) > 0 && watched_) ::inotify_rm_watch(events_.get(), folder);
    if (const auto narrow = narrow_.find(folder); narrow != narrow_.end()) {
        narrow_count_ -= narrow->second.size();
        narrow_.erase(narrow);
    }
}

// The names that lead from a folder up to the share; returns false where there is no such way.
bool ShareWatcher::path_to(int folder, std::vector<const std::string*>& names) const {
    names.clear();
    for (int at = folder; at != top_;) {
        const auto found = folders_.find(at);
        if (found == folders_.end() || names.size() == kMaxDepth) return false;
        names.push_back(&found->second.name);
        at = found->second.parent;
    }
    return true;
}

base::UniqueFd ShareWatcher::open(int folder, int flags) const {
    std::vector<const std::string*> names;
    const auto wanted = folders_.find(folder);
    if (wanted == folders_.end() || !path_to(folder, names)) return {};
    base::UniqueFd fd(::openat(share_.get(), ".", (names.empty() ? flags : O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    for (size_t i = names.size(); i-- > 0 && fd;)
        fd.reset(::openat(fd.get(), names[i]->c_str(), (i == 0 ? flags : O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (fd && (::fstat(fd.get(), &st) < 0 || st.st_ino != wanted->second.inode)) fd.reset();
    return fd;
}

}  // namespace runtime
