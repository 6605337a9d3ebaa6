#include "init/tar_extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "init/target_folder.h"
#include "init/write_all.h"

namespace init {
namespace {

constexpr size_t kPieceRead = 64 << 10;

using Names = std::vector<std::string>;

// Where the tar comes from. What is left of it can be dropped, and its end is told from libarchive's, which needs no end mark.
struct Source {
    int fd;
    bool ended = false;
    char piece[kPieceRead];

    static la_ssize_t read(struct archive* archive, void* self, const void** data) {
        auto* source = static_cast<Source*>(self);
        ssize_t n = 0;
        do {
            n = ::read(source->fd, source->piece, sizeof source->piece);
        } while (n < 0 && errno == EINTR);
        if (n < 0) archive_set_error(archive, errno, "cannot be read: %s", ::strerrordesc_np(errno));
        source->ended = n <= 0;
        *data = source->piece;
        return n;
    }
    void drop_rest() {
        const void* data = nullptr;
        while (!ended && read(nullptr, this, &data) > 0) {
        }
    }
};

class Extraction {
public:
    Extraction(struct archive* archive, int messages) : archive_(archive), messages_(messages) {}

    Status find_target(const std::string& path, const std::string& name);
    Status take(archive_entry* entry);
    void finish() { target_.leave(); }

private:
    Result<Names> place_of(const char* name) const;
    Status take_folder(archive_entry* entry, const Names& names);
    Status make(archive_entry* entry, int folder, const std::string& text);
    Status make_link(archive_entry* entry, const Names& parent, int& folder);
    Status write_file(archive_entry* entry, int folder);
    Status write_data(int file);
    Status set_attributes(archive_entry* entry, int fd);
    Status set_owner(archive_entry* entry, int folder);
    Status set_extended(archive_entry* entry, const std::string& path);

    struct archive* archive_;
    int messages_;
    const std::string part_ = cat({".gvmkit-copy-", std::to_string(::getpid())});  // becomes each file when it is complete
    TargetFolder target_;
    std::string name_;      // the first of every entry's names; empty: any
    std::string new_name_;  // takes its place
    bool made_target_ = false;
    bool told_unsupported_ = false;
};

Status Extraction::find_target(const std::string& path, const std::string& name) {
    if (!path.starts_with('/')) return failure({path, ": is not absolute"});
    if (name.empty() || name == ".." || name.find('/') != std::string::npos) return failure({name, ": is not a name in a folder"});
    if (name != ".") name_ = new_name_ = name;
    struct stat st {};
    const bool there = ::stat(path.c_str(), &st) == 0;
    if (there && !S_ISDIR(st.st_mode) && (name == "." || path.ends_with('/'))) return failure(ENOTDIR, {path});
    if (!there && path.ends_with('/')) return failure(errno, {path});
    std::string folder = path;
    if (!there && name == ".") {
        if (::mkdir(path.c_str(), 0755) < 0) return failure(errno, {path});
        made_target_ = true;
    } else if (!there || !S_ISDIR(st.st_mode)) {
        const size_t slash = path.rfind('/');
        folder = path.substr(0, slash + 1);
        new_name_ = path.substr(slash + 1);
        if (new_name_ == "." || new_name_ == "..") return failure(ENOENT, {path});
    }
    Result<TargetFolder> target = TargetFolder::open(folder);
    if (!target.ok()) return failure({path, target.status.text.substr(folder.size())});
    target_ = std::move(target.value);
    return {};
}

// The names on the way from the target to what an entry's name means.
Result<Names> Extraction::place_of(const char* name) const {
    if (name == nullptr) return failure({"an entry of the tar has no name"});
    if (name[0] == '/') return failure({name, ": the tar has an absolute name"});
    Names names;
    for (std::string_view rest = name; !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find('/'));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        if (part == "..") return failure({name, ": the tar has a name with \"..\""});
        if (part.size() > NAME_MAX) return failure(ENAMETOOLONG, {name});
        if (!part.empty() && part != ".") names.emplace_back(part);
    }
    if (name_.empty()) return names;
    if (names.empty() || names[0] != name_) return failure({name, ": the tar has an entry that is not below ", name_});
    names[0] = new_name_;
    return names;
}

Status Extraction::take(archive_entry* entry) {
    const char* text = archive_entry_pathname(entry);
    Result<Names> place = place_of(text);
    if (!place.ok()) return place.status;
    Names& names = place.value;
    const bool link = archive_entry_hardlink(entry) != nullptr;
    if (!link && archive_entry_filetype(entry) == AE_IFDIR) return take_folder(entry, names);
    if (names.empty()) return failure({text, ": is no folder"});
    const std::string name = std::move(names.back());
    names.pop_back();
    Result<int> entered = target_.enter(names);
    if (!entered.ok()) return entered.status;
    int folder = entered.value;
    struct stat st {};
    if (::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return failure({text, ": a folder is there, and is not replaced"});
    Status status = link ? make_link(entry, names, folder) : make(entry, folder, text);
    // A running program keeps the file that is replaced. Two links to one file stay as they are.
    if (status.ok() && ::renameat(folder, part_.c_str(), folder, name.c_str()) < 0) status = failure(errno, {text});
    (void)::unlinkat(folder, part_.c_str(), 0);
    return status;
}

Status Extraction::take_folder(archive_entry* entry, const Names& names) {
    const Result<int> folder = target_.enter(names);
    if (!folder.ok()) return folder.status;
    // The target keeps its own, and so does what a link leads to.
    if ((names.empty() && !made_target_) || target_.by_link()) return {};
    if (Status status = set_attributes(entry, folder.value); !status.ok()) return status;
    target_.set_time({archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)});
    return {};
}

// `folder` is opened anew, since the way to the other name leads elsewhere.
Status Extraction::make_link(archive_entry* entry, const Names& parent, int& folder) {
    const char* text = archive_entry_hardlink(entry);
    Result<Names> other = place_of(text);
    if (!other.ok()) return other.status;
    if (other.value.empty()) return failure({text, ": is a folder"});
    const std::string name = std::move(other.value.back());
    other.value.pop_back();
    const Result<int> from = target_.find(other.value);
    if (!from.ok()) return from.status;
    const base::UniqueFd from_folder(::fcntl(from.value, F_DUPFD_CLOEXEC, 3));
    const Result<int> to = target_.enter(parent);
    if (!to.ok()) return to.status;
    folder = to.value;
    if (::linkat(from_folder.get(), name.c_str(), folder, part_.c_str(), 0) < 0) return failure(errno, {text});
    return {};
}

Status Extraction::make(archive_entry* entry, int folder, const std::string& text) {
    const auto type = archive_entry_filetype(entry);
    const mode_t mode = type | archive_entry_perm(entry);
    int result = 0;
    switch (type) {
        case AE_IFREG:
            if (const Status status = write_file(entry, folder); !status.ok()) return failure({text, ": ", status.text});
            return {};
        case AE_IFLNK:
            result = ::symlinkat(archive_entry_symlink(entry), folder, part_.c_str());
            break;
        case AE_IFIFO:
            result = ::mknodat(folder, part_.c_str(), mode, 0);
            break;
        case AE_IFCHR:
        case AE_IFBLK:
            result = ::mknodat(
                folder, part_.c_str(), mode,
                makedev(static_cast<unsigned>(archive_entry_rdevmajor(entry)), static_cast<unsigned>(archive_entry_rdevminor(entry))));
            break;
        default:
            return failure({text, ": is of a kind that is not known"});
    }
    if (result < 0) return failure(errno, {text});
    if (const Status status = set_owner(entry, folder); !status.ok()) return failure({text, ": ", status.text});
    return {};
}

// Of what has no descriptor to write to. Whoever may write to the folder can have put something else there.
Status Extraction::set_owner(archive_entry* entry, int folder) {
    const base::UniqueFd fd(::openat(folder, part_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) < 0) return failure(errno, {"cannot be opened"});
    if ((st.st_mode & S_IFMT) != archive_entry_filetype(entry) || st.st_nlink > 1) return failure({"has been replaced meanwhile"});
    const auto uid = static_cast<uid_t>(archive_entry_uid(entry));
    const auto gid = static_cast<gid_t>(archive_entry_gid(entry));
    if (::fchownat(fd.get(), "", uid, gid, AT_EMPTY_PATH) < 0) return failure(errno, {"cannot get its owner"});
    const std::string path = cat({"/proc/self/fd/", std::to_string(fd.get())});
    if (Status status = set_extended(entry, path); !status.ok()) return status;
    const timespec times[2] = {{0, UTIME_OMIT}, {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}};
    if (::utimensat(AT_FDCWD, path.c_str(), times, 0) < 0) return failure(errno, {"cannot get its time"});
    return {};
}

Status Extraction::write_file(archive_entry* entry, int folder) {
    const base::UniqueFd file(::openat(folder, part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return failure(errno, {"cannot be made"});
    if (Status status = write_data(file.get()); !status.ok()) return status;
    if (::ftruncate(file.get(), archive_entry_size(entry)) < 0) return failure(errno, {"cannot be written"});
    if (Status status = set_attributes(entry, file.get()); !status.ok()) return status;
    const timespec times[2] = {{0, UTIME_OMIT}, {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}};
    if (::futimens(file.get(), times) < 0) return failure(errno, {"cannot get its time"});
    return {};
}

// Pieces of zero bytes become holes.
Status Extraction::write_data(int file) {
    for (;;) {
        const void* data = nullptr;
        size_t size = 0;
        la_int64_t offset = 0;
        const int result = archive_read_data_block(archive_, &data, &size, &offset);
        if (result == ARCHIVE_EOF) return {};
        if (result != ARCHIVE_OK) return failure({archive_error_string(archive_)});
        const char* bytes = static_cast<const char*>(data);
        if (size > 0 && bytes[0] == '\0' && std::memcmp(bytes, bytes + 1, size - 1) == 0) continue;
        while (size > 0) {
            const ssize_t n = ::pwrite(file, bytes, size, offset);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return failure(errno, {"cannot be written"});
            bytes += n;
            offset += n;
            size -= static_cast<size_t>(n);
        }
    }
}

// The mode last, since a new owner takes setuid away.
Status Extraction::set_attributes(archive_entry* entry, int fd) {
    const auto uid = static_cast<uid_t>(archive_entry_uid(entry));
    const auto gid = static_cast<gid_t>(archive_entry_gid(entry));
    if (::fchown(fd, uid, gid) < 0) return failure(errno, {"cannot get its owner"});
    if (::fchmod(fd, archive_entry_perm(entry)) < 0) return failure(errno, {"cannot get its mode"});
    return set_extended(entry, cat({"/proc/self/fd/", std::to_string(fd)}));
}

Status Extraction::set_extended(archive_entry* entry, const std::string& path) {
    archive_entry_xattr_reset(entry);
    const char* key = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK) {
        if (::setxattr(path.c_str(), key, value, size, 0) == 0) continue;
        if (errno != ENOTSUP && errno != EPERM) return failure(errno, {"cannot get its attribute ", key});
        if (!told_unsupported_) {
            tell(messages_, {archive_entry_pathname(entry), ": the file system keeps no attribute ", key});
        }
        told_unsupported_ = true;
    }
    return {};
}

Status extract_all(struct archive* archive, Source& source, Extraction& extraction) {
    const auto damaged = [&](const char* otherwise) {
        const char* text = archive_error_string(archive);
        return failure({"the tar is damaged: ", text != nullptr ? text : otherwise});
    };
    (void)archive_read_support_format_tar(archive);
    if (archive_read_open(archive, &source, nullptr, Source::read, nullptr) != ARCHIVE_OK) return damaged("it is none");
    for (;;) {
        archive_entry* entry = nullptr;
        const int result = archive_read_next_header(archive, &entry);
        if (result == ARCHIVE_EOF) return source.ended ? failure({"the tar is damaged: it has no end"}) : Status{};
        // In our locale, "C", no name beyond ASCII can be converted from a pax header's UTF-8. libarchive then gives its bytes, unchanged.
        const char* text = archive_error_string(archive);
        const bool unconverted = result == ARCHIVE_WARN && text != nullptr && std::strstr(text, "can't be converted from") != nullptr;
        if (result != ARCHIVE_OK && !unconverted) return damaged("a bad header");
        if (Status status = extraction.take(entry); !status.ok()) return status;
    }
}

}  // namespace

Status extract_tar(const std::string& path, const std::string& name, int in, int messages) {
    const std::unique_ptr<struct archive, int (*)(struct archive*)> archive(archive_read_new(), archive_read_free);
    static Source source;
    source = {in, false, {}};
    if (!archive) std::terminate();
    Extraction extraction(archive.get(), messages);
    Status status = extraction.find_target(path, name);
    if (status.ok()) status = extract_all(archive.get(), source, extraction);
    extraction.finish();
    source.drop_rest();
    return status;
}

}  // namespace init
