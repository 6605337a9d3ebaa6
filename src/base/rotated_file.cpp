#include "base/rotated_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace base {

RotatedFile::RotatedFile(std::filesystem::path path, size_t max_bytes, unsigned kept)
    : path_(std::move(path)), max_bytes_(max_bytes), kept_(kept) {}

void RotatedFile::write(std::string_view data) {
    if (!file_) open();
    if (size_ > 0 && size_ + data.size() > max_bytes_) rotate();
    data = data.substr(0, max_bytes_);
    size_ += data.size();  // bytes of a failed write count too
    write_all(file_.get(), data, path_.string());
}

void RotatedFile::open() {
    file_ = open_file(path_, O_WRONLY | O_CREAT | O_APPEND);
    struct stat status {};
    if (::fstat(file_.get(), &status) < 0) throw_errno("cannot look at ", path_);
    size_ = static_cast<size_t>(status.st_size);
}

void RotatedFile::rotate() {
    const auto name = [this](unsigned number) {
        std::string numbered = path_;
        if (number > 0) numbered.append(".").append(std::to_string(number));
        return numbered;
    };
    file_.reset();
    // Where renaming fails, the file is emptied instead: the limit matters more than old lines.
    std::error_code error;
    for (unsigned number = kept_; number > 0; number--)
        std::filesystem::rename(name(number - 1), name(number), error);
    if (error) std::filesystem::resize_file(path_, 0, error);
    open();
}

}  // namespace base
