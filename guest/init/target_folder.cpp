#include "init/target_folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "init/path.h"

namespace init {
namespace {

constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

void set_mtime(int fd, const std::optional<timespec>& mtime) {
    if (!mtime) return;
    const timespec times[2] = {{0, UTIME_OMIT}, *mtime};
    (void)::futimens(fd, times);
}

}  // namespace

Result<TargetFolder> TargetFolder::open(const std::string& path) {
    TargetFolder folder;
    folder.top_.reset(::open(path.c_str(), kOpenFolder));
    if (!folder.top_) return failure(errno, {path});
    struct stat st {};
    struct stat root {};
    folder.is_root_ = ::fstat(folder.get(), &st) == 0 && ::stat("/", &root) == 0 && st.st_dev == root.st_dev && st.st_ino == root.st_ino;
    return folder;
}

Result<int> TargetFolder::enter(const std::vector<std::string>& names) {
    return go(names, true);
}

Result<int> TargetFolder::find(const std::vector<std::string>& names) {
    return go(names, false);
}

void TargetFolder::set_time(const timespec& mtime) {
    (way_.empty() ? mtime_ : way_.back().mtime) = mtime;
}

void TargetFolder::leave() {
    back_to(0);
    if (top_) set_mtime(top_.get(), mtime_);
}

void TargetFolder::back_to(size_t depth) {
    while (way_.size() > depth) {
        set_mtime(way_.back().fd.get(), way_.back().mtime);
        way_.pop_back();
    }
}

std::string TargetFolder::path_to(const std::string& name) const {
    std::string path;
    for (const Step& step : way_)
        path += step.name + "/";
    return path + name;
}

Result<int> TargetFolder::go(const std::vector<std::string>& names, bool make) {
    if (names.size() > kMostNested) return failure({"more than 2048 folders are in one another"});
    size_t common = 0;
    while (common < way_.size() && common < names.size() && way_[common].name == names[common])
        common++;
    back_to(common);
    for (size_t i = common; i < names.size(); i++) {
        if (Status status = step(names[i], make); !status.ok()) return status;
    }
    return way_.empty() ? top_.get() : way_.back().fd.get();
}

Status TargetFolder::step(const std::string& name, bool make) {
    const int from = way_.empty() ? top_.get() : way_.back().fd.get();
    if (make && ::mkdirat(from, name.c_str(), 0755) < 0 && errno != EEXIST) return failure(errno, {path_to(name)});
    base::UniqueFd fd(::openat(from, name.c_str(), kOpenFolder | O_NOFOLLOW));
    bool by_link = false;
    if (!fd && (errno == ENOTDIR || errno == ELOOP)) {
        struct stat st {};
        if (::fstatat(from, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode))
            return failure({path_to(name), ": is there, and is no folder"});
        struct open_how how {};
        how.flags = kOpenFolder;
        how.resolve = (is_root_ ? RESOLVE_IN_ROOT : RESOLVE_BENEATH) | RESOLVE_NO_MAGICLINKS;
        fd.reset(static_cast<int>(::syscall(SYS_openat2, top_.get(), path_to(name).c_str(), &how, sizeof how)));
        if (!fd) return failure({path_to(name), ": is a link that leads to no folder below the target"});
        by_link = true;
    }
    if (!fd) return failure(errno, {path_to(name)});
    way_.push_back({name, std::move(fd), by_link, {}});
    return {};
}

}  // namespace init
