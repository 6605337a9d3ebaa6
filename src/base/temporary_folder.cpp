#include "base/temporary_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/remove_tree.h"

namespace base {
namespace {

constexpr size_t kRandom = 6;            // characters, of mkdtemp(3)
constexpr std::time_t kYoung = 60;       // seconds for which a folder may be without its lock, since it is being made
constexpr size_t kMaxLookedAt = 10'000;  // entries of the parent

UniqueFd locked(const std::filesystem::path& folder) {
    UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) fd.reset();
    return fd;
}

bool was_left(const std::filesystem::path& folder, const UniqueFd& lock) {
    struct stat here {};
    struct stat by_name {};
    return lock && ::fstat(lock.get(), &here) == 0 && here.st_uid == ::geteuid() && here.st_mtime + kYoung < std::time(nullptr) &&
           ::lstat(folder.c_str(), &by_name) == 0 && by_name.st_ino == here.st_ino && by_name.st_dev == here.st_dev;
}

// Whatever cannot be looked at or removed stays: it is not what we came for.
void remove_left(const std::filesystem::path& parent, const std::string& prefix) {
    std::error_code error;
    size_t looked_at = 0;
    for (auto entry = std::filesystem::directory_iterator(parent, error); !error && entry != std::filesystem::directory_iterator();
         entry.increment(error)) {
        if (++looked_at > kMaxLookedAt) return;
        const std::string name = entry->path().filename();
        if (name.size() != prefix.size() + kRandom || !name.starts_with(prefix)) continue;
        const UniqueFd lock = locked(entry->path());
        if (!was_left(entry->path(), lock)) continue;
        try {
            remove_tree(entry->path());
            spdlog::info("removed {}, which a killed process has left", entry->path().string());
        } catch (const Error& e) {
            spdlog::debug("{}", e.what());
        }
    }
}

}  // namespace

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent, const char* prefix) {
    remove_left(parent, prefix);
    std::string path = (parent / prefix).string() + std::string(kRandom, 'X');
    if (!::mkdtemp(path.data())) throw_errno("cannot make a folder in ", parent);
    path_ = path;
    lock_ = locked(path_);  // without a lock, where a file system has none, it is as good for a minute after its last change
}

TemporaryFolder::~TemporaryFolder() {
    try {
        remove_tree(path_);
    } catch (const Error& e) {
        spdlog::warn("{}", e.what());
    }
}

}  // namespace base
