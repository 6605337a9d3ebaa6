#include "gvmi/squashfs_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "gvmi/little_endian.h"

namespace gvmi {
namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kMaxFile = uint64_t{4} << 40;      // the same as our writer's; no disk of a VM is larger
constexpr uint64_t kMaxListing = uint64_t{64} << 20;  // bytes of a directory: some two million names
constexpr size_t kMaxTarget = 4095;                   // PATH_MAX without its zero
constexpr size_t kMaxName = 255;
constexpr uint32_t kMaxAttributes = 1024;  // of one inode, and the bytes of all of them
constexpr size_t kMaxAttributeBytes = size_t{1} << 20;
constexpr uint64_t kMaxListed = uint64_t{1} << 30;          // bytes of listings; a path can name a directory two thousand times
constexpr uint64_t kMaxAllAttributes = uint64_t{64} << 20;  // bytes; as many as a conversion allows. Any number of files can share them

constexpr mode_t kTypes[] = {S_IFDIR, S_IFREG, S_IFLNK, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK};
constexpr unsigned kBasicTypes = 7;  // the extended types, 8 to 14, have the same order

uint32_t number32(MetadataCursor& cursor) {
    return static_cast<uint32_t>(cursor.number(4));
}

}  // namespace

SquashfsReader::SquashfsReader(const ReadAt& read) : superblock_(read_superblock(read)), blocks_(read, superblock_) {}

// An entry of a table whose metadata blocks are found through a list of their positions.
MetadataCursor SquashfsReader::lookup(uint64_t table, uint64_t index, size_t entry_size) {
    const uint64_t offset = index * entry_size;
    std::array<std::byte, 8> bytes{};
    blocks_.raw(table + offset / kMetadata * bytes.size(), bytes);
    return {blocks_, little_endian(bytes), offset % kMetadata};
}

uint32_t SquashfsReader::id(uint64_t index) {
    if (index >= superblock_.ids) damaged("an owner or group that is not in its table");
    return static_cast<uint32_t>(lookup(superblock_.id_table, index, 4).number(4));
}

void SquashfsReader::read_directory(File& file, MetadataCursor& cursor, bool extended) const {
    uint64_t block = 0;
    uint64_t size = 0;
    if (extended) {
        file.links = number32(cursor);
        size = cursor.number(4);
        block = cursor.number(4);
        (void)cursor.number(4);  // the parent
        (void)cursor.number(2);  // the number of index entries, which only speed up looking up
    } else {
        block = cursor.number(4);
        file.links = number32(cursor);
        size = cursor.number(2);
    }
    const uint64_t offset = cursor.number(2);
    if (extended) file.attributes = number32(cursor);
    file.data = block << 16 | offset;
    // The size includes "." and "..", which are not stored.
    file.listing = size < 3 ? 0 : size - 3;
    if (file.listing > kMaxListing) damaged("a directory of " + std::to_string(size) + " bytes");
}

void SquashfsReader::read_regular(File& file, MetadataCursor& cursor, bool extended) const {
    if (extended) {
        file.data = cursor.number(8);
        file.size = cursor.number(8);
        (void)cursor.number(8);  // bytes in holes
        file.links = number32(cursor);
    } else {
        file.data = cursor.number(4);
    }
    file.fragment = number32(cursor);
    file.fragment_offset = number32(cursor);
    if (extended) {
        file.attributes = number32(cursor);
    } else {
        file.size = cursor.number(4);
    }
    if (file.size > kMaxFile) damaged("a file of " + std::to_string(file.size) + " bytes");
    file.block_sizes = cursor;
}

void SquashfsReader::read_special(File& file, MetadataCursor& cursor, unsigned type) {
    const bool extended = type > kBasicTypes;
    file.links = number32(cursor);
    if (S_ISLNK(file.mode)) {
        const uint64_t size = cursor.number(4);
        if (size == 0 || size > kMaxTarget) damaged("a symbolic link of " + std::to_string(size) + " bytes");
        file.target = cursor.text(size);
        if (file.target.find('\0') != std::string::npos) damaged("a symbolic link with a zero byte");
    }
    if (S_ISBLK(file.mode) || S_ISCHR(file.mode)) {
        const uint32_t device = number32(cursor);
        file.major = device >> 8 & 0xfff;
        file.minor = (device & 0xff) | (device >> 12 & 0xfff00);
    }
    if (extended) file.attributes = number32(cursor);
}

File SquashfsReader::file(uint64_t position) {
    MetadataCursor cursor(blocks_, superblock_.inode_table, position);
    const auto type = static_cast<unsigned>(cursor.number(2));
    if (type == 0 || type > 2 * kBasicTypes) damaged("an inode of type " + std::to_string(type));
    File result;
    result.mode = kTypes[(type - 1) % kBasicTypes] | (static_cast<mode_t>(cursor.number(2)) & 07777);
    result.uid = id(cursor.number(2));
    result.gid = id(cursor.number(2));
    result.mtime = number32(cursor);
    result.number = number32(cursor);
    if (S_ISDIR(result.mode)) {
        read_directory(result, cursor, type > kBasicTypes);
    } else if (S_ISREG(result.mode)) {
        read_regular(result, cursor, type > kBasicTypes);
    } else {
        read_special(result, cursor, type);
    }
    return result;
}

File SquashfsReader::root() {
    File result = file(superblock_.root);
    if (!S_ISDIR(result.mode)) damaged("its root is not a directory");
    return result;
}

void SquashfsReader::read_names(const File& directory, const std::function<bool(Name name)>& take) {
    if (directory.listing == 0) return;
    listed_ += directory.listing;
    if (listed_ > kMaxListed) throw base::Error("more than " + base::format_size(kMaxListed) + " of directories to read");
    MetadataCursor cursor(blocks_, superblock_.directory_table, directory.data);
    constexpr uint64_t kHeader = 12;
    constexpr uint64_t kEntry = 8;
    std::string last;
    for (uint64_t left = directory.listing; left > 0;) {
        if (left < kHeader) damaged("a directory ends early");
        left -= kHeader;
        const uint64_t count = cursor.number(4) + 1;
        const uint64_t block = cursor.number(4);
        (void)cursor.number(4);  // the inode number that the entries' are relative to
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t offset = cursor.number(2);
            (void)cursor.number(4);  // the inode's number and type, which the inode itself has
            const uint64_t size = cursor.number(2) + 1;
            if (size > kMaxName || left < kEntry + size) damaged("a directory ends early, or a name is too long");
            left -= kEntry + size;
            std::string name = cursor.text(size);
            const bool bad = name == "." || name == ".." || name.find('/') != std::string::npos || name.find('\0') != std::string::npos;
            if (bad) damaged("a file named " + base::quote(name));
            if (last >= name) damaged("a directory that is not sorted, at " + base::quote(name));
            last = name;
            if (!take({std::move(name), block << 16 | offset})) return;
        }
    }
}

std::vector<Name> SquashfsReader::list(const File& directory) {
    std::vector<Name> names;
    read_names(directory, [&names](Name name) {
        names.push_back(std::move(name));
        return true;
    });
    return names;
}

std::optional<uint64_t> SquashfsReader::position_of(const File& directory, std::string_view name) {
    std::optional<uint64_t> position;
    read_names(directory, [&](const Name& other) {
        if (other.name == name) position = other.position;
        return other.name < name;
    });
    return position;
}

std::vector<SquashfsReader::Piece> SquashfsReader::pieces(const File& directory) {
    std::vector<Piece> result;
    uint64_t position = superblock_.directory_table + (directory.data >> 16);
    uint64_t offset = directory.data & 0xffff;
    for (uint64_t left = directory.listing; left > 0;) {
        const SquashfsBlocks::Block& block = blocks_.metadata(position);
        const uint64_t size = block.bytes.size();
        const uint64_t bytes = offset < size ? std::min(left, size - offset) : 0;
        if (bytes == 0 && size != kMetadata) damaged("a directory ends early");
        if (bytes > 0) result.push_back({position, block.next, size, bytes});
        offset = bytes > 0 ? 0 : offset - size;
        left -= bytes;
        position = block.next;
    }
    return result;
}

Attributes SquashfsReader::attributes(const File& file) {
    Attributes result;
    const uint64_t table = superblock_.xattr_table;
    if (file.attributes == kNone) return result;
    if (table == std::numeric_limits<uint64_t>::max()) damaged("extended attributes, but no table of them");
    constexpr uint64_t kHeader = 16;
    MetadataCursor header = lookup(table + kHeader, file.attributes, 16);
    std::array<std::byte, 8> bytes{};
    blocks_.raw(table, bytes);
    const uint64_t start = little_endian(bytes);
    MetadataCursor cursor(blocks_, start, header.number(8));
    const uint64_t count = header.number(4);
    if (count > kMaxAttributes) damaged(std::to_string(count) + " extended attributes of one file");
    size_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        constexpr const char* kPrefixes[] = {"user.", "trusted.", "security."};
        constexpr uint64_t kElsewhere = 0x100;
        const uint64_t type = cursor.number(2);
        if ((type & 0xff) >= std::size(kPrefixes)) damaged("an extended attribute of type " + std::to_string(type));
        const std::string name = kPrefixes[type & 0xff] + cursor.text(cursor.number(2));
        uint64_t size = cursor.number(4);
        MetadataCursor value = cursor;
        if ((type & kElsewhere) != 0) {
            value = MetadataCursor(blocks_, start, cursor.number(8));
            size = value.number(4);
        }
        total += name.size() + std::min<uint64_t>(size, kMaxAttributeBytes + 1);
        if (total > kMaxAttributeBytes) damaged("more than 1 MiB of extended attributes of one file");
        if (attribute_bytes_ + total > kMaxAllAttributes)
            throw base::Error("more than " + base::format_size(kMaxAllAttributes) + " of extended attributes");
        result.emplace_back(name, value.text(size));
        if ((type & kElsewhere) == 0) cursor = value;
    }
    attribute_bytes_ += total;
    return result;
}

SquashfsReader::Fragment SquashfsReader::fragment(uint32_t index) {
    if (index >= superblock_.fragments) damaged("a fragment that is not in its table");
    MetadataCursor entry = lookup(superblock_.fragment_table, index, 16);
    const uint64_t position = entry.number(8);
    return {position, number32(entry)};
}

FileData::FileData(SquashfsReader& reader, const File& file)
    : reader_(reader),
      sizes_(file.block_sizes.value()),
      position_(file.data),
      left_(file.size),
      fragment_(file.fragment),
      fragment_offset_(file.fragment_offset) {}

FileData::Block FileData::next() {
    const uint32_t block_size = reader_.superblock_.block_size;
    if (left_ == 0) return {};
    const auto size = static_cast<size_t>(std::min<uint64_t>(left_, block_size));
    if (size < block_size && fragment_ != kNone) {
        const auto [at, stored] = reader_.fragment(fragment_);
        if (reader_.kept_fragment_.empty() || reader_.kept_fragment_at_ != at) {
            reader_.kept_fragment_ = reader_.blocks_.data(at, stored, 0);
            reader_.kept_fragment_at_ = at;
        }
        const std::vector<std::byte>& bytes = reader_.kept_fragment_;
        if (fragment_offset_ > bytes.size() || size > bytes.size() - fragment_offset_) damaged("a file's end outside of its fragment");
        left_ = 0;
        return {size, std::span(bytes).subspan(fragment_offset_, size)};
    }
    const auto stored = number32(sizes_);
    left_ -= size;
    if (stored == 0) return {size, {}};
    block_ = reader_.blocks_.data(position_, stored, size);
    position_ += stored & 0xffffffU;
    return {size, block_};
}

}  // namespace gvmi
