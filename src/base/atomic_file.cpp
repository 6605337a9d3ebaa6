#include "base/atomic_file.h"

#include <fcntl.h>

#include <cerrno>
#include <string>

#include "base/error.h"

namespace base {
namespace {

// Gives a file without a name one that nothing has yet.
bool link_to(const UniqueFd& file, const std::filesystem::path& path) {
    const std::string self = "/proc/self/fd/" + std::to_string(file.get());
    return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

}  // namespace

template <typename F>
void AtomicFile::with_temporary_name(F&& make) {
    for (int attempt = 0;; attempt++) {
        const std::filesystem::path name = path_.string() + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".part";
        if (make(name)) {
            temporary_ = name;
            return;
        }
        if (errno != EEXIST || attempt == 1000) throw_errno("cannot create " + path_.string());
    }
}

AtomicFile::AtomicFile(std::filesystem::path path, mode_t mode) : path_(std::move(path)) {
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    fd_.reset(::open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, mode));
    if (fd_) return;
    // Not mkostemp, which makes every file 0600: open applies the umask.
    with_temporary_name([&](const std::filesystem::path& name) {
        fd_.reset(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        return static_cast<bool>(fd_);
    });
}

AtomicFile::~AtomicFile() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
    if (::fsync(fd_.get()) < 0) throw_errno("cannot write " + path_.string());
    if (temporary_.empty()) {
        if (link_to(fd_, path_)) return;
        // Something has the name, and only a file that has one can take its place.
        with_temporary_name([this](const std::filesystem::path& name) { return link_to(fd_, name); });
    }
    if (::rename(temporary_.c_str(), path_.c_str()) < 0) throw_errno("cannot rename " + temporary_.string() + " to " + path_.string());
    temporary_.clear();
}

}  // namespace base
