#include "base/atomic_file.h"

#include <fcntl.h>

#include <cerrno>
#include <string>

#include "base/error.h"
#include "base/unnamed_file.h"

namespace base {
template <typename F>
void AtomicFile::with_temporary_name(F&& make) {
    for (int attempt = 0;; attempt++) {
        const std::filesystem::path name = path_.string() + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".part";
        if (make(name)) {
            temporary_ = name;
            return;
        }
        if (errno != EEXIST || attempt == 1000) throw_errno("cannot create ", path_);
    }
}

AtomicFile::AtomicFile(std::filesystem::path path, mode_t mode) : path_(std::move(path)) {
    fd_ = open_unnamed(AT_FDCWD, folder().c_str(), mode);
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

std::filesystem::path AtomicFile::folder() const {
    return path_.has_parent_path() ? path_.parent_path() : ".";
}

void AtomicFile::write(std::span<const std::byte> data) {
    write_all(fd_.get(), data, path_.string());
}

void AtomicFile::write(std::string_view text) {
    write_all(fd_.get(), text, path_.string());
}

void AtomicFile::commit() {
    if (::fsync(fd_.get()) < 0) throw_errno("cannot write ", path_);
    if (temporary_.empty()) {
        if (link_unnamed(fd_, AT_FDCWD, path_.c_str())) return sync_folder(folder());
        // The name is taken, and only a named file can replace it.
        with_temporary_name([this](const std::filesystem::path& name) { return link_unnamed(fd_, AT_FDCWD, name.c_str()); });
    }
    if (::rename(temporary_.c_str(), path_.c_str()) < 0) throw_errno("cannot rename ", temporary_, " to ", path_);
    temporary_.clear();
    sync_folder(folder());
}

void replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    AtomicFile file(path, mode);
    file.write(text);
    file.commit();
}

void sync_folder(const std::filesystem::path& folder) {
    const UniqueFd fd = open_file(folder, O_RDONLY | O_DIRECTORY);
    if (::fsync(fd.get()) < 0) throw_errno("cannot write ", folder);
}

}  // namespace base
