#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gvmi/squashfs_metadata.h"
#include "gvmi/squashfs_writer.h"

namespace gvmi {

// An inode as read.
struct File {
    mode_t mode = 0;  // type and permissions
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t mtime = 0;
    uint32_t number = 0;
    uint32_t links = 1;
    uint64_t size = 0;   // of a file
    std::string target;  // of a symbolic link
    unsigned major = 0;  // of a device
    unsigned minor = 0;
    uint32_t attributes = 0xFFFFFFFF;  // the number of its extended attributes, or none
    uint64_t data = 0;                 // of a file: where its blocks are; of a directory: the position of its listing
    uint64_t listing = 0;              // of a directory: the listing's bytes
    uint32_t fragment = 0xFFFFFFFF;    // of a file: which holds its end, or none
    uint32_t fragment_offset = 0;
    std::optional<MetadataCursor> block_sizes;  // of a file
};

struct Name {
    std::string name;
    uint64_t position = 0;  // for SquashfsReader::file
};

// Reads a stranger's squashfs: everything is checked, and no size is trusted. Data is held in memory only while it is looked at. All
// functions throw base::Error ("damaged squashfs: …"). For one thread.
class SquashfsReader {
public:
    // `fd` stays the caller's.
    explicit SquashfsReader(int fd) : SquashfsReader(read_from(fd)) {}
    explicit SquashfsReader(const ReadAt& read);

    const Superblock& superblock() const { return superblock_; }
    File root();
    File file(uint64_t position);
    // Sorted by bytes, each name once, none with a slash or zero in it, neither "." nor "..". All listings that are read, each time, may
    // have 1 GiB together.
    std::vector<Name> list(const File& directory);
    // The position of one name in a directory, for file(); nothing where it is not there. Takes no memory, whatever the directory's size.
    std::optional<uint64_t> position_of(const File& directory, std::string_view name);
    // Where a directory's listing is: the metadata blocks, and how many bytes of each.
    struct Piece {
        uint64_t block = 0;  // its position in the file
        uint64_t next = 0;   // and its end
        size_t size = 0;     // unpacked
        size_t bytes = 0;    // of the listing
    };
    std::vector<Piece> pieces(const File& directory);
    // Where a fragment is, and its size as squashfs has it (bit 24: not compressed).
    struct Fragment {
        uint64_t position = 0;
        uint32_t stored = 0;
        bool operator==(const Fragment&) const = default;
    };
    Fragment fragment(uint32_t index);
    // At most 1 MiB; all that are read, each time, may have 64 MiB together.
    Attributes attributes(const File& file);

private:
    friend class FileData;
    MetadataCursor lookup(uint64_t table, uint64_t index, size_t entry_size);
    uint32_t id(uint64_t index);
    // Gives each name in turn to `take`, until that returns false. Throws like list().
    void read_names(const File& directory, const std::function<bool(Name name)>& take);
    void read_regular(File& file, MetadataCursor& cursor, bool extended) const;
    void read_directory(File& file, MetadataCursor& cursor, bool extended) const;
    void read_special(File& file, MetadataCursor& cursor, unsigned type);

    Superblock superblock_;
    SquashfsBlocks blocks_;
    uint64_t listed_ = 0;           // bytes of the listings that were read
    uint64_t attribute_bytes_ = 0;  // that were read
    uint64_t kept_fragment_at_ = 0;
    std::vector<std::byte> kept_fragment_;
};

// A file's content, a block at a time.
class FileData {
public:
    FileData(SquashfsReader& reader, const File& file);

    struct Block {
        size_t size = 0;                   // 0: the end
        std::span<const std::byte> bytes;  // empty: zeros. Valid until the next call
    };
    Block next();

private:
    SquashfsReader& reader_;
    MetadataCursor sizes_;
    uint64_t position_;
    uint64_t left_;
    uint32_t fragment_;
    uint32_t fragment_offset_;
    std::vector<std::byte> block_;
};

}  // namespace gvmi
