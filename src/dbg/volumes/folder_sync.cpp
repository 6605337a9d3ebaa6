#include "dbg/volumes/folder_sync.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace fs = std::filesystem;
namespace {

constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_ONLYDIR |
                             IN_DONT_FOLLOW | IN_EXCL_UNLINK;
constexpr int kMaxCopies = 5;  // of a file that changes again and again meanwhile; its next event comes anyway
constexpr size_t kCopySize = 256 << 10;

bool same_time(const timespec& a, const timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// Whether two looks show the same entry with the same content.
bool same(const struct stat& a, const struct stat& b) {
    return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_mode == b.st_mode && a.st_size == b.st_size &&
           same_time(a.st_mtim, b.st_mtim) && same_time(a.st_ctim, b.st_ctim);
}

// Returns the status that the source had all along, or has now where it changed. What is copied is incomplete where it was stopped.
struct stat copy_content(int from, int to, const std::atomic<bool>& stopped) {
    std::vector<char> block(kCopySize);
    struct stat before {};
    struct stat after {};
    for (int i = 0; i < kMaxCopies && !stopped; i++) {
        if (::fstat(from, &before) < 0 || ::lseek(from, 0, SEEK_SET) < 0 || ::lseek(to, 0, SEEK_SET) < 0 || ::ftruncate(to, 0) < 0)
            base::throw_errno("cannot copy");
        while (!stopped) {
            const ssize_t size = ::read(from, block.data(), block.size());
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) base::throw_errno("cannot read");
            if (size == 0) break;
            base::write_all(to, std::string_view(block.data(), static_cast<size_t>(size)), "the copy");
        }
        if (::fstat(from, &after) < 0) base::throw_errno("cannot copy");
        if (same(before, after)) break;
    }
    return after;
}

}  // namespace

FolderSync::FolderSync(const fs::path& source, const VolumePlace& target, const fs::path& staging)
    : source_(base::with_context("sync", [&source] { return fs::canonical(source); })),
      target_(target.volume.host, staging),
      below_(target.names),
      events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (!events_) base::throw_errno("cannot watch ", source_);
    top_ = watch(source_);
    folders_[top_] = {};
}

bool FolderSync::sync() {
    any_ = false;
    target_.forget();
    read_events();
    if (lost_) {
        lost_ = false;
        changed_.clear();
        walking_ = true;
        to_scan_ = {top_};
        scan_new();
        walking_ = false;
    } else {
        settle_changed();
    }
    return any_;
}

void FolderSync::read_events() {
    alignas(inotify_event) char buffer[64 << 10];
    for (;;) {
        const ssize_t size = ::read(events_.get(), buffer, sizeof buffer);
        if (size <= 0) return;
        for (const char* at = buffer; at < buffer + size;) {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            at += sizeof(inotify_event) + event->len;
            if (event->mask & IN_Q_OVERFLOW) lost_ = true;
            if (event->len > 0) changed_[event->wd].insert(event->name);
        }
    }
}

// What is there comes before what is not, so that a moved folder is found at its new place while the target still has it at the old one.
void FolderSync::settle_changed() {
    std::vector<std::pair<int, std::string>> gone;
    for (const auto& [folder, names] : std::exchange(changed_, {})) {
        if (!folders_.contains(folder)) continue;
        const fs::path path = source_of(folder);
        for (const std::string& name : names) {
            struct stat st {};
            if (::lstat((path / name).c_str(), &st) == 0) {
                update(folder, name);
            } else {
                gone.emplace_back(folder, name);
            }
        }
    }
    for (const auto& [folder, name] : gone)
        update(folder, name);
    scan_new();
}

void FolderSync::scan_new() {
    while (!to_scan_.empty() && !stopped_) {
        const int folder = to_scan_.back();
        to_scan_.pop_back();
        if (folders_.contains(folder)) scan(folder);
    }
    to_scan_.clear();
}

void FolderSync::scan(int folder) {
    const fs::path path = source_of(folder);
    std::unordered_set<std::string> names;
    const base::Folder listing = base::read_folder(base::UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
    if (!listing && errno != ENOENT) spdlog::warn("sync: cannot read {}: {}", base::quote(path.native()), base::errno_text(errno));
    if (!listing) return;
    while (const dirent* entry = base::next_entry(listing.get()))
        names.insert(entry->d_name);
    for (const auto& [name, _] : folders_[folder].entries)
        names.insert(name);
    for (const std::string& name : names) {
        if (stopped_) return;
        update(folder, name);
    }
}

void FolderSync::update(int folder, const std::string& name) {
    if (stopped_ || !folders_.contains(folder)) return;
    looked_at_++;
    struct stat st {};
    try {
        if (::lstat((source_of(folder) / name).c_str(), &st) < 0) return remove(folder, name);
        if (S_ISDIR(st.st_mode)) return update_folder(folder, name, st);
        const auto known = folders_[folder].entries.find(name);
        if (known != folders_[folder].entries.end() && same(known->second.status, st)) return;
        if (S_ISREG(st.st_mode)) return copy_file(folder, name, st);
        if (S_ISLNK(st.st_mode)) return copy_link(folder, name, st);
        remove(folder, name);
    } catch (const base::SystemError& e) {
        // It has been removed or replaced since, and that event comes.
        if (e.error_number() == ENOENT || e.error_number() == ELOOP) return;
        spdlog::warn("sync: {}: {}", base::quote(name), base::printable(e.what(), 1000));
    }
}

// The owner's bits stay set: we have to write there, too.
void FolderSync::update_folder(int folder, const std::string& name, const struct stat& st) {
    const auto known = folders_[folder].entries.find(name);
    if (known != folders_[folder].entries.end() && known->second.watch >= 0 && known->second.status.st_ino == st.st_ino) {
        const bool mode_changed = known->second.status.st_mode != st.st_mode;
        known->second.status = st;
        if (walking_) to_scan_.push_back(known->second.watch);
        if (!mode_changed) return;
        target_.set_mode(target_of(folder), name, st.st_mode | S_IRWXU);
        any_ = true;
        return;
    }
    remove(folder, name);
    const int number = watch(source_of(folder) / name);
    if (!adopt_moved(number, folder, name)) {
        target_.put_folder(target_of(folder), name, st.st_mode | S_IRWXU);
        folders_[number] = {.parent = folder, .name = name};
        to_scan_.push_back(number);
    }
    folders_[folder].entries[name] = {.status = st, .watch = number};
    target_.set_mode(target_of(folder), name, st.st_mode | S_IRWXU);
    any_ = true;
}

// A folder that has its watch already was moved here. Returns false where the target does not have it any more.
bool FolderSync::adopt_moved(int number, int folder, const std::string& name) {
    const auto moved = folders_.find(number);
    if (moved == folders_.end()) return false;
    const int old_parent = moved->second.parent;
    const std::string old_name = moved->second.name;
    folders_[old_parent].entries.erase(old_name);
    if (target_.move(target_of(old_parent), old_name, target_of(folder), name)) {
        moved->second.parent = folder;
        moved->second.name = name;
        if (walking_) to_scan_.push_back(number);
        return true;
    }
    // Its folders are new ones, then; their watches stay.
    for (const auto& [_, entry] : folders_[number].entries) {
        if (entry.watch >= 0) forget(entry.watch);
    }
    return false;
}

void FolderSync::copy_file(int folder, const std::string& name, const struct stat& st) {
    const fs::path path = source_of(folder) / name;
    const base::UniqueFd from(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!from) base::throw_errno("cannot open ", path);
    const base::UniqueFd to = target_.stage();
    const struct stat copied = copy_content(from.get(), to.get(), stopped_);
    if (stopped_ || !S_ISREG(copied.st_mode)) return;  // replaced since; that event comes
    const timespec times[2] = {copied.st_atim, copied.st_mtim};
    if (::fchmod(to.get(), copied.st_mode & 0777) < 0 || ::futimens(to.get(), times) < 0) base::throw_errno("cannot write the copy");
    if (const auto known = folders_[folder].entries.find(name); known != folders_[folder].entries.end() && known->second.watch >= 0)
        remove(folder, name);
    target_.put(target_of(folder), name);
    // What the file was before it was opened, where another is there now: so the next look finds a difference.
    folders_[folder].entries[name] = {.status = copied.st_ino == st.st_ino ? copied : st};
    any_ = true;
}

void FolderSync::copy_link(int folder, const std::string& name, const struct stat& st) {
    std::string target(static_cast<size_t>(st.st_size) + 1, '\0');
    const ssize_t size = ::readlink((source_of(folder) / name).c_str(), target.data(), target.size());
    if (size < 0) base::throw_errno("cannot read the link");
    target.resize(static_cast<size_t>(size));
    if (const auto known = folders_[folder].entries.find(name); known != folders_[folder].entries.end() && known->second.watch >= 0)
        remove(folder, name);
    target_.put_link(target_of(folder), name, target);
    folders_[folder].entries[name] = {.status = st};
    any_ = true;
}

// From the target, what was copied there.
void FolderSync::remove(int folder, const std::string& name) {
    auto& entries = folders_[folder].entries;
    const auto known = entries.find(name);
    if (known == entries.end()) return;
    const int number = known->second.watch;
    entries.erase(known);
    if (number >= 0) forget(number);
    target_.remove(target_of(folder), name);
    any_ = true;
}

void FolderSync::forget(int number) {
    std::vector<int> numbers{number};
    while (!numbers.empty()) {
        const int at = numbers.back();
        numbers.pop_back();
        const auto found = folders_.find(at);
        if (found == folders_.end()) continue;
        for (const auto& [_, entry] : found->second.entries) {
            if (entry.watch >= 0) numbers.push_back(entry.watch);
        }
        folders_.erase(found);
        (void)::inotify_rm_watch(events_.get(), at);
    }
}

int FolderSync::watch(const fs::path& path) {
    const int number = ::inotify_add_watch(events_.get(), path.c_str(), kEvents);
    if (number < 0 && errno == ENOSPC)
        throw base::Error("cannot watch " + path.string() + ": the host's limit of watches is reached; raise fs.inotify.max_user_watches");
    if (number < 0) base::throw_errno("cannot watch ", path);
    return number;
}

void FolderSync::put_names(int folder, Names& names) const {
    const auto begin = static_cast<std::ptrdiff_t>(names.size());
    for (int at = folder; at != top_;) {
        const Folder& found = folders_.at(at);
        names.push_back(found.name);
        at = found.parent;
    }
    std::reverse(names.begin() + begin, names.end());
}

fs::path FolderSync::source_of(int folder) const {
    Names names;
    put_names(folder, names);
    fs::path path = source_;
    for (const std::string& name : names)
        path /= name;
    return path;
}

FolderSync::Names FolderSync::target_of(int folder) const {
    Names names = below_;
    put_names(folder, names);
    return names;
}

}  // namespace dbg
