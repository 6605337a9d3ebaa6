#pragma once

#include <sqfs/io.h>

namespace gvmi {

// A file descriptor as libsquashfs's file. It remembers the first errno, which libsquashfs does not report. `fd` stays the caller's.
struct SquashfsFile : sqfs_file_t {
    explicit SquashfsFile(int fd);

    int fd;
    sqfs_u64 size = 0;
    int error_number = 0;
};

}  // namespace gvmi
