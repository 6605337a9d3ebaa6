#include "gvmi/squashfs_metadata.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.h"
#include "gvmi/little_endian.h"

namespace gvmi {
namespace {

constexpr size_t kSuperblock = 96;
constexpr uint32_t kSmallestBlock = 4096;
constexpr uint32_t kLargestBlock = uint32_t{1} << 20;
constexpr uint64_t kNoTable = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kPlainData = uint32_t{1} << 24;
constexpr uint16_t kPlainMetadata = 0x8000;

}  // namespace

void damaged(const std::string& reason) {
    throw base::Error("damaged squashfs: " + reason);
}

Superblock read_superblock(const ReadAt& read) {
    std::array<std::byte, kSuperblock> bytes{};
    if (read(bytes, 0) != bytes.size() || std::memcmp(bytes.data(), "hsqs", 4) != 0) damaged("no superblock");
    const auto number = [&bytes](size_t offset, size_t size) { return little_endian(std::span(bytes).subspan(offset, size)); };
    if (number(28, 2) != 4 || number(30, 2) != 0) damaged("it is not version 4.0");
    const auto method = method_by_number(static_cast<unsigned>(number(20, 2)));
    if (!method) damaged("compressor " + std::to_string(number(20, 2)));
    Superblock result;
    result.inodes = static_cast<uint32_t>(number(4, 4));
    result.block_size = static_cast<uint32_t>(number(12, 4));
    result.fragments = static_cast<uint32_t>(number(16, 4));
    result.method = *method;
    result.ids = static_cast<uint16_t>(number(26, 2));
    result.root = number(32, 8);
    result.bytes_used = number(40, 8);
    result.id_table = number(48, 8);
    result.xattr_table = number(56, 8);
    result.inode_table = number(64, 8);
    result.directory_table = number(72, 8);
    result.fragment_table = number(80, 8);
    const uint32_t size = result.block_size;
    if (size < kSmallestBlock || size > kLargestBlock || (size & (size - 1)) != 0) damaged("blocks of " + std::to_string(size) + " bytes");
    for (const uint64_t table : {result.id_table, result.inode_table, result.directory_table}) {
        if (table < kSuperblock || table >= result.bytes_used) damaged("a table outside of it");
    }
    for (const uint64_t table : {result.xattr_table, result.fragment_table}) {
        if (table != kNoTable && (table < kSuperblock || table > result.bytes_used)) damaged("a table outside of it");
    }
    return result;
}

SquashfsBlocks::SquashfsBlocks(ReadAt read, const Superblock& superblock)
    : read_(std::move(read)),
      bytes_used_(superblock.bytes_used),
      block_size_(superblock.block_size),
      decoder_(make_decoder(superblock.method)) {}

void SquashfsBlocks::raw(uint64_t position, std::span<std::byte> buffer) const {
    if (position > bytes_used_ || buffer.size() > bytes_used_ - position) damaged("a pointer to the outside");
    if (read_(buffer, position) != buffer.size()) damaged("it ends early");
}

std::vector<std::byte> SquashfsBlocks::stored(uint64_t position, size_t size, bool compressed, size_t limit) {
    if (size == 0 || size > limit) damaged("a block of " + std::to_string(size) + " bytes");
    std::vector<std::byte> bytes(size);
    raw(position, bytes);
    if (!compressed) return bytes;
    std::vector<std::byte> plain(limit);
    const auto length = decoder_->code(bytes, plain);
    if (!length) damaged("the block at " + std::to_string(position) + " cannot be decompressed");
    plain.resize(*length);
    return plain;
}

const SquashfsBlocks::Block& SquashfsBlocks::metadata(uint64_t position) {
    constexpr size_t kMostKept = 512;
    const auto found = kept_.find(position);
    if (found != kept_.end()) return found->second;
    std::array<std::byte, 2> header{};
    raw(position, header);
    const auto word = static_cast<uint16_t>(little_endian(header));
    const size_t size = word & (kPlainMetadata - 1U);
    Block block{stored(position + header.size(), size, (word & kPlainMetadata) == 0, kMetadata), position + header.size() + size};
    if (kept_.size() >= kMostKept) kept_.clear();
    return kept_[position] = std::move(block);
}

std::vector<std::byte> SquashfsBlocks::data(uint64_t position, uint32_t stored_size, size_t size) {
    auto bytes = stored(position, stored_size & (kPlainData - 1), (stored_size & kPlainData) == 0, block_size_);
    if (size != 0 && bytes.size() != size) {
        damaged("the block at " + std::to_string(position) + " has " + std::to_string(bytes.size()) + " bytes, not " +
                std::to_string(size));
    }
    return bytes;
}

MetadataCursor::MetadataCursor(SquashfsBlocks& blocks, uint64_t table, uint64_t position)
    : blocks_(&blocks), block_(table + (position >> 16)), offset_(position & 0xffff) {
    if (offset_ >= kMetadata) damaged("an offset of " + std::to_string(offset_) + " in a block of 8 KiB");
}

void MetadataCursor::read(std::span<std::byte> out) {
    while (!out.empty()) {
        const SquashfsBlocks::Block& block = blocks_->metadata(block_);
        if (offset_ >= block.bytes.size()) {
            // Only a full block is followed by one that belongs to it.
            if (block.bytes.size() != kMetadata) damaged("a table ends early");
            offset_ -= kMetadata;
            block_ = block.next;
            continue;
        }
        const size_t n = std::min(out.size(), block.bytes.size() - offset_);
        std::copy_n(block.bytes.begin() + static_cast<std::ptrdiff_t>(offset_), n, out.begin());
        offset_ += n;
        out = out.subspan(n);
    }
}

uint64_t MetadataCursor::number(size_t bytes) {
    std::array<std::byte, 8> buffer{};
    read(std::span(buffer).first(bytes));
    return little_endian(std::span(buffer).first(bytes));
}

std::string MetadataCursor::text(size_t size) {
    std::string result(size, '\0');
    read(std::as_writable_bytes(std::span(result)));
    return result;
}

}  // namespace gvmi
