#include "oci/entries.h"

#include <sys/stat.h>

namespace oci {

TarEntry::Type entry_type(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG:
            return TarEntry::Type::file;
        case S_IFDIR:
            return TarEntry::Type::directory;
        case S_IFLNK:
            return TarEntry::Type::symlink;
        case S_IFCHR:
            return TarEntry::Type::character_device;
        case S_IFBLK:
            return TarEntry::Type::block_device;
        case S_IFIFO:
            return TarEntry::Type::fifo;
        default:
            return TarEntry::Type::socket;
    }
}

}  // namespace oci
