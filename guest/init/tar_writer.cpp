#include "init/tar_writer.h"

#include <archive_entry.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd.h"

namespace init {
namespace {

constexpr size_t kMaxAttributes = 512 << 10;
constexpr size_t kMaxLinks = 32 << 20;  // bytes; further links are written as files
constexpr size_t kPiece = 64 << 10;

using EntryPtr = std::unique_ptr<archive_entry, void (*)(archive_entry*)>;

EntryPtr new_entry() {
    return {archive_entry_new(), archive_entry_free};
}

Status archive_failure(struct archive* archive, const std::string& name) {
    const char* text = archive_error_string(archive);
    return failure({name, ": ", text != nullptr ? text : "cannot be written to the tar"});
}

// Without this file system's ids, so that the same tree gives the same tar.
void set_attributes(archive_entry* entry, const struct stat& st) {
    archive_entry_set_mode(entry, st.st_mode);
    archive_entry_set_uid(entry, st.st_uid);
    archive_entry_set_gid(entry, st.st_gid);
    archive_entry_set_mtime(entry, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    if (S_ISREG(st.st_mode)) archive_entry_set_size(entry, st.st_size);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        archive_entry_set_rdevmajor(entry, major(st.st_rdev));
        archive_entry_set_rdevminor(entry, minor(st.st_rdev));
    }
}

}  // namespace

Result<Attributes> attributes_of(int folder, const char* name) {
    static char names[64 << 10];  // the kernel's own limits
    static char value[64 << 10];
    const std::string path = cat({"/proc/self/fd/", std::to_string(folder), "/", name});
    Attributes result;
    const ssize_t size = ::llistxattr(path.c_str(), names, sizeof names);
    if (size < 0 && (errno == ENOTSUP || errno == ENOENT)) return result;
    if (size < 0) return failure(errno, {"cannot list the extended attributes of ", name});
    size_t bytes = 0;
    for (const char* at = names; at < names + size; at += std::strlen(at) + 1) {
        // The overlay's own are hidden by the overlay, but not by an image. A tar cannot have a name with "=".
        if (std::string_view(at).starts_with("trusted.overlay.") || std::strchr(at, '=') != nullptr) continue;
        const ssize_t length = ::lgetxattr(path.c_str(), at, value, sizeof value);
        if (length < 0) continue;  // gone, or a name that stands for no attribute
        bytes += std::strlen(at) + static_cast<size_t>(length);
        if (bytes > kMaxAttributes) return failure({name, " has more than 512 KiB of extended attributes"});
        result.emplace_back(at, std::string(value, static_cast<size_t>(length)));
    }
    std::sort(result.begin(), result.end());
    return result;
}

TarWriter::TarWriter(int out) : out_(out), archive_(archive_write_new()) {
    if (archive_ == nullptr) std::terminate();
    (void)archive_write_set_format_pax(archive_);
    (void)archive_write_set_options(archive_, "xattrheader=SCHILY");  // each attribute once
    (void)archive_write_set_bytes_per_block(archive_, kPiece);
    (void)archive_write_set_bytes_in_last_block(archive_, 1);
    (void)archive_write_open(archive_, this, nullptr, write, nullptr);
}

TarWriter::~TarWriter() {
    (void)archive_write_fail(archive_);  // after an error the tar stays without an end
    (void)archive_write_free(archive_);
}

la_ssize_t TarWriter::write(archive* archive, void* self, const void* data, size_t size) {
    ssize_t n = 0;
    do {
        n = ::write(static_cast<TarWriter*>(self)->out_, data, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0) archive_set_error(archive, errno, "cannot write the tar: %s", ::strerrordesc_np(errno));
    return n;
}

// Forgets a file whose names have all been seen.
bool TarWriter::link_to_first(archive_entry* entry, const struct stat& st, const std::string& tar_name) {
    if (st.st_nlink < 2 || S_ISDIR(st.st_mode)) return false;
    const std::pair key{st.st_dev, st.st_ino};
    const auto found = links_.find(key);
    if (found == links_.end()) {
        const size_t bytes = sizeof(Link) + tar_name.size();
        if (links_bytes_ + bytes > kMaxLinks) return false;
        links_bytes_ += bytes;
        links_[key] = {tar_name, st.st_nlink - 1};
        return false;
    }
    archive_entry_copy_hardlink(entry, found->second.name.c_str());
    archive_entry_set_size(entry, 0);
    if (--found->second.left == 0) {
        links_bytes_ -= sizeof(Link) + found->second.name.size();
        links_.erase(found);
    }
    return true;
}

Status TarWriter::add(int folder, const char* name, const std::string& tar_name) {
    struct stat st {};
    if (::fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? Status{} : failure(errno, {tar_name});
    base::UniqueFd file;
    if (S_ISREG(st.st_mode)) {
        file.reset(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (!file && (errno == ENOENT || errno == ELOOP)) return {};
        if (!file || ::fstat(file.get(), &st) < 0) return failure(errno, {tar_name});
        if (!S_ISREG(st.st_mode)) return {};  // replaced at this moment
    }
    const EntryPtr entry = new_entry();
    set_attributes(entry.get(), st);
    if (S_ISLNK(st.st_mode)) {
        char target[PATH_MAX];
        const ssize_t size = ::readlinkat(folder, name, target, sizeof target - 1);
        if (size < 0) return errno == ENOENT || errno == EINVAL ? Status{} : failure(errno, {tar_name});
        target[size] = '\0';
        archive_entry_copy_symlink(entry.get(), target);
    }
    if (link_to_first(entry.get(), st, tar_name)) return add_entry(entry.get(), tar_name);
    const Result<Attributes> attributes = attributes_of(folder, name);
    if (!attributes.ok()) return attributes.status;
    for (const auto& [key, value] : attributes.value)
        archive_entry_xattr_add_entry(entry.get(), key.c_str(), value.data(), value.size());
    if (Status status = add_entry(entry.get(), tar_name); !status.ok()) return status;
    return file ? add_data(file.get(), static_cast<uint64_t>(st.st_size), tar_name) : Status{};
}

Status TarWriter::add_mark(const std::string& tar_name) {
    const EntryPtr entry = new_entry();
    archive_entry_set_mode(entry.get(), S_IFREG | 0644);
    archive_entry_set_size(entry.get(), 0);
    archive_entry_set_mtime(entry.get(), 0, 0);
    return add_entry(entry.get(), tar_name);
}

Status TarWriter::add_entry(archive_entry* entry, const std::string& tar_name) {
    archive_entry_copy_pathname(entry, tar_name.c_str());
    const int result = archive_write_header(archive_, entry);
    // In our locale, "C", no name beyond ASCII can be converted to UTF-8. libarchive then writes its bytes, and that they are bytes.
    const char* text = archive_error_string(archive_);
    const bool unconverted = result == ARCHIVE_WARN && text != nullptr && std::strstr(text, "Can't translate") != nullptr;
    return result == ARCHIVE_OK || unconverted ? Status{} : archive_failure(archive_, tar_name);
}

Status TarWriter::add_data(int file, uint64_t size, const std::string& tar_name) {
    static char piece[kPiece];
    bool ended = false;
    while (size > 0) {
        const size_t wanted = std::min<uint64_t>(size, sizeof piece);
        const ssize_t n = ended ? 0 : ::read(file, piece, wanted);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failure(errno, {tar_name});
        if (n == 0) {
            if (!ended) std::memset(piece, 0, sizeof piece);
            ended = true;
        }
        const size_t got = ended ? wanted : static_cast<size_t>(n);
        if (archive_write_data(archive_, piece, got) < 0) return archive_failure(archive_, tar_name);
        size -= got;
    }
    return {};
}

Status TarWriter::finish() {
    if (archive_write_close(archive_) != ARCHIVE_OK) return archive_failure(archive_, "the tar");
    return {};
}

}  // namespace init
