#include "oci/tar_writer.h"

#include <archive_entry.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include "base/error.h"

namespace oci {
namespace {

constexpr int kTarBlock = 64 << 10;

unsigned type_bits(TarEntry::Type type) {
    switch (type) {
        case TarEntry::Type::directory:
            return AE_IFDIR;
        case TarEntry::Type::symlink:
            return AE_IFLNK;
        case TarEntry::Type::character_device:
            return AE_IFCHR;
        case TarEntry::Type::block_device:
            return AE_IFBLK;
        case TarEntry::Type::fifo:
            return AE_IFIFO;
        case TarEntry::Type::socket:
            throw base::Error("a tar holds no sockets");
        default:
            return AE_IFREG;
    }
}

struct FreeEntry {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

}  // namespace

TarWriter::TarWriter(Sink sink) : sink_(std::move(sink)), archive_(archive_write_new()) {
    if (archive_ == nullptr) throw std::bad_alloc();
    try {
        check(archive_write_set_format_pax_restricted(archive_));
        check(archive_write_set_options(archive_, "hdrcharset=BINARY,xattrheader=SCHILY"));
        check(archive_write_set_bytes_per_block(archive_, kTarBlock));
        check(archive_write_set_bytes_in_last_block(archive_, 1));
        check(archive_write_open(archive_, this, nullptr, put, nullptr));
    } catch (...) {
        archive_write_free(archive_);
        throw;
    }
}

// archive_write_free alone would close the archive, and write its end mark.
TarWriter::~TarWriter() {
    archive_write_fail(archive_);
    archive_write_free(archive_);
}

void TarWriter::add(const TarEntry& entry) {
    const std::unique_ptr<archive_entry, FreeEntry> header(archive_entry_new());
    if (!header) throw std::bad_alloc();
    archive_entry_set_pathname(header.get(), entry.path.c_str());
    archive_entry_set_mode(header.get(), static_cast<__LA_MODE_T>(type_bits(entry.type) | entry.permissions));
    archive_entry_set_uid(header.get(), entry.uid);
    archive_entry_set_gid(header.get(), entry.gid);
    archive_entry_set_mtime(header.get(), entry.mtime, 0);
    if (entry.type == TarEntry::Type::hard_link) archive_entry_set_hardlink(header.get(), entry.target.c_str());
    if (entry.type == TarEntry::Type::symlink) archive_entry_set_symlink(header.get(), entry.target.c_str());
    if (entry.type == TarEntry::Type::character_device || entry.type == TarEntry::Type::block_device)
        archive_entry_set_rdev(header.get(), makedev(entry.major, entry.minor));
    archive_entry_set_size(header.get(), entry.type == TarEntry::Type::file ? static_cast<la_int64_t>(entry.size) : 0);
    for (const auto& [name, value] : entry.attributes)
        archive_entry_xattr_add_entry(header.get(), name.c_str(), value.data(), value.size());
    check(archive_write_header(archive_, header.get()));
}

void TarWriter::write(std::span<const std::byte> data) {
    while (!data.empty()) {
        const la_ssize_t size = archive_write_data(archive_, data.data(), data.size());
        check(size);
        if (size <= 0) throw base::Error("more data than the tar's header says");
        data = data.subspan(static_cast<size_t>(size));
    }
}

void TarWriter::write_zeros(uint64_t size) {
    static constexpr std::array<std::byte, kTarBlock> kZeros{};
    while (size > 0) {
        const size_t piece = static_cast<size_t>(std::min<uint64_t>(size, kZeros.size()));
        write(std::span(kZeros).first(piece));
        size -= piece;
    }
}

void TarWriter::finish() {
    check(archive_write_close(archive_));
}

la_ssize_t TarWriter::put(archive* archive, void* self, const void* buffer, size_t size) {
    auto* writer = static_cast<TarWriter*>(self);
    try {
        writer->sink_({static_cast<const std::byte*>(buffer), size});
        return static_cast<la_ssize_t>(size);
    } catch (...) {
        writer->exception_ = std::current_exception();
        archive_set_error(archive, EIO, "it cannot be written");
        return -1;
    }
}

void TarWriter::check(la_ssize_t result) {
    if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
    if (result >= ARCHIVE_OK) return;
    const char* text = archive_error_string(archive_);
    throw base::Error(text == nullptr ? "the tar cannot be written" : text);
}

}  // namespace oci
