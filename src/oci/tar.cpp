#include "oci/tar.h"

#include <limits>
#include <string_view>

#include "base/error.h"

namespace oci {
namespace {

TarEntry::Type type_of(archive_entry* entry) {
    if (archive_entry_hardlink(entry) != nullptr) return TarEntry::Type::hard_link;
    switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
            return TarEntry::Type::file;
        case AE_IFLNK:
            return TarEntry::Type::symlink;
        case AE_IFDIR:
            return TarEntry::Type::directory;
        case AE_IFCHR:
            return TarEntry::Type::character_device;
        case AE_IFBLK:
            return TarEntry::Type::block_device;
        case AE_IFIFO:
            return TarEntry::Type::fifo;
        default:
            throw base::Error("an entry of an unknown type");
    }
}

// An owner or group as chown(2) takes it from an engine: its lowest 32 bits, and of -1, which changes nothing, root stays.
uint32_t id(la_int64_t value) {
    const auto low = static_cast<uint32_t>(value);
    return low == std::numeric_limits<uint32_t>::max() ? 0 : low;
}

std::string text(const char* value) {
    return value == nullptr ? std::string() : std::string(value);
}

void fill(TarEntry& result, archive_entry* entry) {
    result = {};
    result.type = type_of(entry);
    result.path = text(archive_entry_pathname(entry));
    if (result.type == TarEntry::Type::hard_link) result.target = text(archive_entry_hardlink(entry));
    if (result.type == TarEntry::Type::symlink) result.target = text(archive_entry_symlink(entry));
    result.permissions = archive_entry_perm(entry) & 07777;
    result.uid = id(archive_entry_uid(entry));
    result.gid = id(archive_entry_gid(entry));
    result.mtime = archive_entry_mtime(entry);
    if (result.type == TarEntry::Type::file) {
        const la_int64_t size = archive_entry_size(entry);
        if (size < 0) throw base::Error("a negative size");
        result.size = static_cast<uint64_t>(size);
    }
    if (result.type == TarEntry::Type::character_device || result.type == TarEntry::Type::block_device) {
        // As mknod(2) takes them from an engine: Linux has 12 bits for the major and 20 for the minor number.
        result.major = static_cast<unsigned>(archive_entry_rdevmajor(entry) & 0xfff);
        result.minor = static_cast<unsigned>(archive_entry_rdevminor(entry) & 0xfffff);
    }
    archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        // In a PAX header, a keyword without a value says that there is none; so do engines read it.
        if (size == 0) continue;
        result.attributes.emplace_back(text(name), std::string(static_cast<const char*>(value), size));
    }
    result.has_acl = archive_entry_acl_types(entry) != 0;
}

}  // namespace

TarReader::TarReader(StreamPtr stream) : archive_(std::move(stream)) {
    archive_.check(archive_read_support_format_tar(archive_.get()));
    archive_.check(archive_read_support_format_empty(archive_.get()));
}

std::string TarReader::at() const {
    const la_int64_t offset = archive_read_header_position(archive_.get());
    // libarchive has none when it failed on the way to the next header.
    if (offset < 0) return "bad tar behind the header at offset " + std::to_string(header_);
    return "bad tar header at offset " + std::to_string(offset);
}

bool TarReader::next(TarEntry& entry) {
    if (!opened_) base::with_context("not a tar", [this] { archive_.open(); });
    opened_ = true;
    size_ = 0;
    position_ = 0;
    archive_entry* header = nullptr;
    const int result = archive_read_next_header(archive_.get(), &header);
    if (result == ARCHIVE_EOF) {
        header_ = archive_read_header_position(archive_.get());
        return false;
    }
    // libarchive converts PAX names from UTF-8 to the locale's character set. In the C locale, which is ours, that fails for every
    // non-ASCII name; libarchive then warns and gives the unchanged bytes, which is what is wanted here.
    const bool unconverted =
        result == ARCHIVE_WARN && text(archive_error_string(archive_.get())).find("can't be converted from") != std::string::npos;
    archive_.rethrow();
    // A PAX header or long name that belongs to no entry: nothing but the end follows, and engines end there too. A header with a wrong
    // checksum, of which libarchive says the same, is ARCHIVE_RETRY.
    if (result == ARCHIVE_FATAL && text(archive_error_string(archive_.get())) == "Damaged tar archive") {
        header_ = archive_read_header_position(archive_.get());
        return false;
    }
    if (!unconverted && result != ARCHIVE_OK) base::with_context(at(), [this, result] { archive_.check(result); });
    base::with_context(at(), [&] { fill(entry, header); });
    header_ = archive_read_header_position(archive_.get());
    sparse_ = archive_entry_sparse_reset(header) > 0;
    size_ = entry.size;
    return true;
}

std::optional<TarData> TarReader::read() {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(archive_.get(), &data, &size, &offset);
    if (result == ARCHIVE_EOF) return std::nullopt;
    archive_.check(result);
    const TarData block{static_cast<uint64_t>(offset), {static_cast<const std::byte*>(data), size}};
    if (offset < 0 || block.offset < position_ || block.offset > size_ || size > size_ - block.offset) {
        throw base::Error("bad map of a sparse file");
    }
    position_ = block.offset + size;
    return block;
}

void TarReader::drain() {
    oci::drain(archive_.inner());
}

}  // namespace oci
