#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gvmi/compression.h"
#include "gvmi/image.h"

namespace gvmi {

inline constexpr size_t kMetadata = 8192;  // bytes of a metadata block, unpacked

// Throws base::Error: "damaged squashfs: REASON".
[[noreturn]] void damaged(const std::string& reason);

// The superblock of a squashfs 4.0, as far as a reader needs it. All of it comes from a stranger.
struct Superblock {
    uint32_t inodes = 0;
    uint32_t block_size = 0;
    uint32_t fragments = 0;
    Method method = Method::gzip;
    uint16_t ids = 0;
    uint64_t root = 0;  // an inode's position: its metadata block's place in the table << 16 | offset in it
    uint64_t bytes_used = 0;
    uint64_t id_table = 0;
    uint64_t xattr_table = 0;  // for these two, all bits set means that there is none
    uint64_t inode_table = 0;
    uint64_t directory_table = 0;
    uint64_t fragment_table = 0;
};

// Throws base::Error where the file is no squashfs 4.0, has an invalid compressor or block size, or a table lies outside of it.
Superblock read_superblock(const ReadAt& read);

// The metadata blocks of a squashfs, 8 KiB each, read on demand; the latest ones are cached.
class SquashfsBlocks {
public:
    SquashfsBlocks(ReadAt read, const Superblock& superblock);

    struct Block {
        std::vector<std::byte> bytes;
        uint64_t next = 0;  // where the next one begins
    };
    // Valid until the next call. Throws base::Error.
    const Block& metadata(uint64_t position);

    // A data block: `stored` as a squashfs has it (bit 24: not compressed). Throws base::Error unless it has `size` bytes; 0: any number.
    std::vector<std::byte> data(uint64_t position, uint32_t stored, size_t size);

    // Bytes as they are in the file, below bytes_used.
    void raw(uint64_t position, std::span<std::byte> buffer) const;

private:
    std::vector<std::byte> stored(uint64_t position, size_t size, bool compressed, size_t limit);

    ReadAt read_;
    uint64_t bytes_used_;
    uint32_t block_size_;
    std::unique_ptr<Coder> decoder_;
    std::map<uint64_t, Block> kept_;
};

// Reads through metadata blocks, one number or text after another; little-endian. Throws base::Error.
class MetadataCursor {
public:
    // `table` is where the table begins, `position` as in Superblock::root.
    MetadataCursor(SquashfsBlocks& blocks, uint64_t table, uint64_t position);

    uint64_t number(size_t bytes);
    std::string text(size_t size);

private:
    void read(std::span<std::byte> out);

    SquashfsBlocks* blocks_;
    uint64_t block_;
    size_t offset_;
};

}  // namespace gvmi
