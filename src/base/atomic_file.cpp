#include "base/atomic_file.h"

#include <fcntl.h>

#include <cerrno>
#include <string>

#include "base/error.h"

namespace base {

AtomicFile::AtomicFile(std::filesystem::path path, mode_t mode) : path_(std::move(path)) {
    // Not mkostemp, which makes every file 0600: open applies the umask.
    for (int attempt = 0; !fd_; attempt++) {
        temporary_ = path_.string() + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".part";
        fd_ = UniqueFd(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (fd_ || (errno == EEXIST && attempt < 1000)) continue;
        throw_errno("cannot create " + path_.string());
    }
}

AtomicFile::~AtomicFile() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
    if (::fsync(fd_.get()) < 0) throw_errno("cannot write " + path_.string());
    if (::rename(temporary_.c_str(), path_.c_str()) < 0) throw_errno("cannot rename " + temporary_.string() + " to " + path_.string());
    temporary_.clear();
}

}  // namespace base
