#include "dbg/copy/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <climits>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/path_names.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "oci/libarchive.h"

namespace dbg {
namespace {

// libarchive remembers each folder until its end.
constexpr uint64_t kMaxFolders = 1'000'000;
constexpr uint64_t kMaxFolderNames = uint64_t{256} << 20;  // bytes
constexpr uint64_t kMaxCopiedEntries = 10'000'000;

constexpr int kSecure = ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;

// libarchive writes below the working folder.
class WorkingFolder {
public:
    explicit WorkingFolder(const std::filesystem::path& folder) : before_(base::open_file(".", O_RDONLY | O_DIRECTORY)) {
        if (::chdir(folder.c_str()) < 0) base::throw_errno("cannot enter ", folder);
    }
    ~WorkingFolder() { (void)::fchdir(before_.get()); }
    WorkingFolder(const WorkingFolder&) = delete;
    WorkingFolder& operator=(const WorkingFolder&) = delete;

private:
    base::UniqueFd before_;
};

// Tells the stream's errors, which are about no entry, from ours.
class Watched : public oci::Stream {
public:
    Watched(oci::StreamPtr inner, bool& failed) : inner_(std::move(inner)), failed_(failed) {}
    std::span<const std::byte> next() override {
        failed_ = true;
        const auto bytes = inner_->next();
        failed_ = false;
        return bytes;
    }

private:
    oci::StreamPtr inner_;
    bool& failed_;
};

// Clears its permissions and times, which it sets at its end.
struct FreeDisk {
    void operator()(archive* disk) const { archive_write_free(disk); }
};
using Disk = std::unique_ptr<archive, FreeDisk>;

std::string text_of(const char* text) {
    return text == nullptr ? std::string() : std::string(text);
}

void check_written(archive* disk, int result) {
    if (result < ARCHIVE_WARN) throw base::Error(text_of(archive_error_string(disk)));
}

class Unpacking {
public:
    Unpacking(oci::StreamPtr tar, const std::string& name, const std::string& made, const UnpackOptions& options)
        : tar_(std::make_unique<Watched>(std::move(tar), failed_)),
          name_(name),
          made_(made),
          options_(options),
          disk_(archive_write_disk_new()) {
        if (!disk_) throw std::bad_alloc();
        int flags = kSecure | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM;
        if (options.owners) flags |= ARCHIVE_EXTRACT_OWNER;
        check_written(disk_.get(), archive_write_disk_set_options(disk_.get(), flags));
        tar_.check(archive_read_support_format_tar(tar_.get()));
        tar_.check(archive_read_support_format_empty(tar_.get()));
    }

    Unpacked run() {
        tar_.open();
        archive_entry* entry = nullptr;
        while (next(entry)) {
            const std::string path = text_of(archive_entry_pathname(entry));
            try {
                take(entry, path);
            } catch (base::Error& e) {
                if (!failed_) e.add_context(base::quote(path));
                throw;
            }
        }
        check_written(disk_.get(), archive_write_close(disk_.get()));
        oci::drain(tar_.inner());
        if (entries_ == 0) throw base::Error("nothing was sent");
        return result_;
    }

private:
    // As oci::TarReader: in the C locale libarchive warns of each name that is not ASCII, and gives its bytes.
    bool next(archive_entry*& entry) {
        const int result = archive_read_next_header(tar_.get(), &entry);
        if (result == ARCHIVE_EOF) return false;
        if (result == ARCHIVE_WARN) {
            tar_.rethrow();
        } else {
            tar_.check(result);
        }
        return true;
    }

    // What a name of the tar becomes.
    std::string place(const std::string& path) {
        const bool valid = !path.starts_with('/') && path.size() < PATH_MAX;
        const std::deque<std::string> names = base::path_names(path);
        const size_t own = name_ == "." ? 0 : 1;
        bool inside = valid && names.size() >= own && (own == 0 || names.front() == name_);
        std::string result = made_;
        for (size_t i = own; i < names.size(); i++) {
            inside = inside && names[i] != "..";
            result += "/" + names[i];
        }
        if (!inside) throw base::Error("it was not asked for");
        return result;
    }

    void take(archive_entry* entry, const std::string& name) {
        const std::string path = place(name);
        const auto type = archive_entry_filetype(entry);
        const bool hard_link = archive_entry_hardlink(entry) != nullptr;
        const bool folder = !hard_link && type == AE_IFDIR;
        if (path == made_) begin(entry, folder, type == AE_IFLNK);
        count(path, folder);
        if (!hard_link && (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFSOCK)) {
            result_.devices_left_out++;
            return;
        }
        archive_entry_set_pathname(entry, path.c_str());
        if (hard_link) {
            const std::string target = place(archive_entry_hardlink(entry));
            if (is_missing(target)) {
                result_.devices_left_out++;
                return;
            }
            archive_entry_set_hardlink(entry, target.c_str());
            archive_entry_set_size(entry, 0);
        }
        if (!options_.owners) archive_entry_set_perm(entry, static_cast<__LA_MODE_T>(archive_entry_perm(entry) & 0777));
        check_written(disk_.get(), archive_write_header(disk_.get(), entry));
        if (!hard_link && type == AE_IFREG) copy_data(static_cast<uint64_t>(archive_entry_size(entry)));
        check_written(disk_.get(), archive_write_finish_entry(disk_.get()));
    }

    void begin(archive_entry* entry, bool folder, bool link) {
        if (folder && options_.only_a_file) throw base::Error("it is a folder");
        result_.folder = folder;
        if (link) result_.link = text_of(archive_entry_symlink(entry));
    }

    void count(const std::string& path, bool folder) {
        if (++entries_ > kMaxCopiedEntries) throw base::Error("more than " + std::to_string(kMaxCopiedEntries) + " files and folders");
        if (!folder) return;
        if (++folders_ > kMaxFolders) throw base::Error("more than " + std::to_string(kMaxFolders) + " folders");
        folder_names_ += path.size();
        if (folder_names_ > kMaxFolderNames) throw base::Error("more than " + base::format_size(kMaxFolderNames) + " of folders' names");
    }

    // So that a further name of a device, which was left out, is left out too.
    static bool is_missing(const std::string& path) { return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) < 0; }

    void copy_data(uint64_t size) {
        if (size > options_.limit_bytes - result_.bytes)
            throw base::Error("more than " + base::format_size(options_.limit_bytes) + " of files, holes included (--limit-gib)");
        result_.bytes += size;
        const void* data = nullptr;
        size_t length = 0;
        la_int64_t offset = 0;
        for (;;) {
            const int result = archive_read_data_block(tar_.get(), &data, &length, &offset);
            if (result == ARCHIVE_EOF) return;
            tar_.check(result);
            if (archive_write_data_block(disk_.get(), data, length, offset) < ARCHIVE_OK)
                throw base::Error(text_of(archive_error_string(disk_.get())));
        }
    }

    bool failed_ = false;  // the stream
    oci::Archive tar_;
    const std::string& name_;
    const std::string& made_;
    const UnpackOptions& options_;
    Disk disk_;
    Unpacked result_;
    uint64_t entries_ = 0;
    uint64_t folders_ = 0;
    uint64_t folder_names_ = 0;
};

}  // namespace

Unpacked unpack(oci::StreamPtr tar, const std::string& name, const std::filesystem::path& folder, const std::string& made,
                const UnpackOptions& options) {
    const WorkingFolder inside(folder);
    return Unpacking(std::move(tar), name, made, options).run();
}

}  // namespace dbg
