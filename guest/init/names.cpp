#include "init/names.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace init {
namespace {

constexpr size_t kMaxText = 1 << 30;

}  // namespace

Status Names::add(int folder) {
    if (folder < 0) return {};
    const int fd = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? Status{} : failure(errno, {"cannot read a folder"});
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd), ::closedir);
    if (!directory) return failure(errno, {"cannot read a folder"});
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr) return errno == 0 ? Status{} : failure(errno, {"cannot read a folder"});
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        if (text_.size() > kMaxText) return failure({"a folder has too many names"});
        begins_.push_back(static_cast<uint32_t>(text_.size()));
        text_.append(name.data(), name.size() + 1);
    }
}

void Names::sort() {
    const auto less = [this](uint32_t a, uint32_t b) { return std::strcmp(text_.data() + a, text_.data() + b) < 0; };
    const auto same = [this](uint32_t a, uint32_t b) { return std::strcmp(text_.data() + a, text_.data() + b) == 0; };
    std::sort(begins_.begin(), begins_.end(), less);
    begins_.erase(std::unique(begins_.begin(), begins_.end(), same), begins_.end());
}

bool Names::contains(const char* name) const {
    const auto less = [this](uint32_t a, const char* b) { return std::strcmp(text_.data() + a, b) < 0; };
    const auto found = std::lower_bound(begins_.begin(), begins_.end(), name, less);
    return found != begins_.end() && std::strcmp(text_.data() + *found, name) == 0;
}

}  // namespace init
