#include "registry/server/folder_owner.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace registry::server {

void give_to_owner_of_folder(const std::filesystem::path& file) {
    struct stat folder {};
    if (::geteuid() != 0 || ::stat(file.parent_path().c_str(), &folder) < 0) return;
    if (::lchown(file.c_str(), folder.st_uid, folder.st_gid) < 0) base::throw_errno("cannot give the folder's owner ", file);
}

}  // namespace registry::server
