#include "registry/server/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/error.h"

namespace registry::server {

base::UniqueFd lock_folder(const std::filesystem::path& data, bool shared) {
    base::UniqueFd lock = base::open_file(data / "lock", O_RDWR | O_CREAT);
    if (::flock(lock.get(), (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) throw base::Error(data.string() + " is in use by another gvmkit-registry");
    base::throw_errno("cannot lock ", data);
}

}  // namespace registry::server
