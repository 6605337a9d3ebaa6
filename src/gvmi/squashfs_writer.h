#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gvmi/compression.h"

namespace gvmi {

using Attributes = std::vector<std::pair<std::string, std::string>>;  // extended attributes: name and value

// True when squashfs has a place for an extended attribute of that name: user., trusted. and security., not system. (POSIX ACLs).
bool holds_attribute(std::string_view name);

// What every inode has. Times before 1970 or after 2106 are clamped.
struct Inode {
    mode_t mode = 0;  // type and permissions
    uint32_t uid = 0;
    uint32_t gid = 0;
    int64_t mtime = 0;
    uint32_t links = 1;
    uint32_t number = 0;  // 1 to the number of inodes, each once
    const Attributes* attributes = nullptr;
};

// Where a written inode is.
struct InodeRef {
    uint64_t position = 0;
    uint32_t number = 0;
    mode_t mode = 0;
};

// Writes a squashfs 4.0 into an empty file: first the files' data, one after another; then the inodes, a directory's contents before
// itself; then `finish`. The bytes depend on the calls and the options, not on the number of workers. Throws base::Error for another order
// and for a failing disk.
class SquashfsWriter {
public:
    struct Options {
        Compression compression;
        unsigned workers = 1;  // threads that compress
        uint32_t block_size = 128 * 1024;
    };

    // `fd` is open for reading and writing and stays the caller's; `name` is the file's, for messages.
    SquashfsWriter(int fd, std::string name, const Options& options);
    ~SquashfsWriter();
    SquashfsWriter(const SquashfsWriter&) = delete;
    SquashfsWriter& operator=(const SquashfsWriter&) = delete;

    // The data of a file. The handle is for write_file.
    size_t begin_file();
    void append(std::span<const std::byte> data);
    void append_zeros(uint64_t size);
    void end_file();

    InodeRef write_file(const Inode& inode, size_t handle);
    InodeRef write_symlink(const Inode& inode, std::string_view target);
    InodeRef write_device(const Inode& inode, unsigned major, unsigned minor);
    InodeRef write_ipc(const Inode& inode);  // a FIFO or socket
    // `entries` are sorted by name as bytes. The root's parent is the number of inodes + 1, as in every squashfs.
    InodeRef write_directory(const Inode& inode, uint32_t parent, std::span<const std::pair<std::string_view, InodeRef>> entries);

    // `root` has the highest number. Returns the squashfs's length in bytes; the file is padded with zeros to a multiple of 4 KiB.
    uint64_t finish(const InodeRef& root);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace gvmi
