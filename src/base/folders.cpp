#include "base/folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace base {
namespace {

// What the XDG variable says, else a folder below $HOME.
std::filesystem::path user_folder(const char* variable, const char* below_home) {
    if (const char* folder = std::getenv(variable); folder && *folder) return folder;
    if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / below_home;
    return {};
}

}  // namespace

Folder read_folder(UniqueFd fd) {
    Folder folder(::fdopendir(fd.get()));
    if (folder) (void)fd.release();
    return folder;
}

const dirent* next_entry(DIR* folder) {
    for (;;) {
        const dirent* entry = ::readdir(folder);
        if (entry == nullptr || (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)) return entry;
    }
}

std::vector<std::string> names_in(int folder) {
    UniqueFd copy(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!copy) throw_errno("cannot read it");
    const Folder dir = read_folder(std::move(copy));
    if (!dir) throw_errno("cannot read it");
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = next_entry(dir.get())) {
        names.emplace_back(static_cast<const char*>(entry->d_name));
        errno = 0;
    }
    if (errno != 0) throw_errno("cannot read it");
    std::sort(names.begin(), names.end());
    return names;
}

UniqueFd give_to_owner(int parent, const char* name, mode_t kept) {
    UniqueFd fd(::openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) < 0) return {};
    const mode_t mode = (status.st_mode & kept) | S_IRWXU;
    if ((status.st_mode & 07777) != mode) (void)::chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), mode);
    return fd;
}

std::filesystem::path program_folder() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

std::filesystem::path user_cache_folder() {
    return user_folder("XDG_CACHE_HOME", ".cache");
}

std::filesystem::path user_state_folder() {
    return user_folder("XDG_STATE_HOME", ".local/state");
}

}  // namespace base
