#include "oci/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/folders.h"

namespace oci {
namespace {

using Type = TarEntry::Type;

struct Directory {
    base::UniqueFd fd;
    std::string path;                // from the top, "" there
    std::vector<std::string> names;  // sorted
    size_t next = 0;
};

std::string read_link(int folder, const std::string& name) {
    std::string target(PATH_MAX, '\0');
    const ssize_t n = ::readlinkat(folder, name.c_str(), target.data(), target.size());
    if (n < 0) base::throw_errno("cannot read it");
    target.resize(static_cast<size_t>(n));
    return target;
}

// Files that cannot be opened, such as symbolic links, have attributes too, so they are reached by name.
std::vector<std::pair<std::string, std::string>> attributes_of(int folder, const std::string& name) {
    const std::string path = "/proc/self/fd/" + std::to_string(folder) + "/" + name;
    std::string list(XATTR_LIST_MAX, '\0');
    const ssize_t size = ::llistxattr(path.c_str(), list.data(), list.size());
    if (size < 0 && errno != ENOTSUP) base::throw_errno("cannot read its extended attributes");
    list.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
    std::vector<std::pair<std::string, std::string>> result;
    for (size_t start = 0; start < list.size();) {
        const std::string key = list.c_str() + start;
        start += key.size() + 1;
        std::string value(XATTR_SIZE_MAX, '\0');
        const ssize_t length = ::lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
        if (length < 0) base::throw_errno("cannot read its extended attribute ", key);
        value.resize(static_cast<size_t>(length));
        result.emplace_back(key, value);
    }
    std::sort(result.begin(), result.end());
    return result;
}

class FolderEntries : public Entries {
public:
    FolderEntries(const std::filesystem::path& path, bool is_folder) : top_(path), is_folder_(is_folder) {}

    bool next(TarEntry& entry) override {
        file_.reset();
        if (!started_) {
            started_ = true;
            if (is_folder_) {
                base::UniqueFd fd = base::open_file(top_, O_RDONLY | O_DIRECTORY);
                describe(entry, fd.get(), ".", ".");
                enter(std::move(fd), "");
            } else {
                const std::filesystem::path folder = top_.has_parent_path() ? top_.parent_path() : ".";
                const base::UniqueFd parent = base::open_file(folder, O_RDONLY | O_DIRECTORY);
                shown_ = top_.string();
                base::with_context(shown_, [&] { begin(entry, parent.get(), top_.filename(), "."); });
            }
            return true;
        }
        while (!way_.empty() && way_.back().next == way_.back().names.size())
            way_.pop_back();
        if (way_.empty()) return false;
        Directory& directory = way_.back();
        const std::string name = directory.names[directory.next++];
        const std::string path = directory.path.empty() ? name : directory.path + "/" + name;
        shown_ = (top_ / path).string();
        base::with_context(shown_, [&] {
            begin(entry, directory.fd.get(), name, path);
            if (entry.type == Type::directory) enter(open(directory.fd.get(), name, O_DIRECTORY), path);
        });
        return true;
    }

    std::optional<TarData> read() override {
        if (!file_ || position_ >= size_) return std::nullopt;
        return base::with_context(shown_, [this]() -> std::optional<TarData> {
            if (position_ >= extent_end_ || position_ == 0) {
                const off_t data = ::lseek(file_.get(), static_cast<off_t>(position_), SEEK_DATA);
                if (data < 0 && errno == ENXIO) return std::nullopt;
                if (data < 0) base::throw_errno("cannot read it");
                const off_t hole = ::lseek(file_.get(), data, SEEK_HOLE);
                if (hole < 0) base::throw_errno("cannot read it");
                position_ = static_cast<uint64_t>(data);
                extent_end_ = std::min(static_cast<uint64_t>(hole), size_);
                if (position_ >= size_) return std::nullopt;
            }
            const size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), extent_end_ - position_));
            const size_t n = base::pread_full(file_.get(), std::span(buffer_).first(wanted), position_, "it");
            if (n != wanted) throw base::Error("it became shorter while it was read");
            position_ += n;
            return TarData{position_ - n, std::span(buffer_).first(n)};
        });
    }

    void drain() override {}

private:
    static base::UniqueFd open(int folder, const std::string& name, int flags) {
        base::UniqueFd fd(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags));
        if (!fd) base::throw_errno("cannot open it");
        return fd;
    }

    // The entry, and its data where it is a file.
    void begin(TarEntry& entry, int folder, const std::string& name, const std::string& path) {
        describe(entry, folder, name, path);
        if (entry.type == Type::file) file_ = open(folder, name, O_NONBLOCK);
        size_ = entry.size;
        position_ = 0;
    }

    void enter(base::UniqueFd fd, const std::string& path) {
        std::vector<std::string> names = base::names_in(fd.get());
        way_.push_back({std::move(fd), path, std::move(names)});
    }

    void describe(TarEntry& entry, int folder, const std::string& name, const std::string& path) {
        struct stat status {};
        if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) base::throw_errno("cannot examine it");
        entry = {};
        entry.type = entry_type(status.st_mode);
        entry.path = path;
        if (entry.type != Type::directory && status.st_nlink > 1) {
            const auto [first, is_new] = links_.emplace(std::pair(status.st_dev, status.st_ino), path);
            if (!is_new) {
                entry.type = Type::hard_link;
                entry.target = first->second;
                return;
            }
        }
        entry.permissions = status.st_mode & 07777;
        entry.uid = status.st_uid;
        entry.gid = status.st_gid;
        entry.mtime = status.st_mtim.tv_sec;
        if (entry.type == Type::file) entry.size = static_cast<uint64_t>(status.st_size);
        if (entry.type == Type::symlink) entry.target = read_link(folder, name);
        if (entry.type == Type::character_device || entry.type == Type::block_device) {
            entry.major = major(status.st_rdev);
            entry.minor = minor(status.st_rdev);
        }
        entry.attributes = attributes_of(folder, name);
    }

    std::filesystem::path top_;
    bool is_folder_;
    bool started_ = false;
    std::vector<Directory> way_;
    std::map<std::pair<dev_t, ino_t>, std::string> links_;
    base::UniqueFd file_;  // the current one
    std::string shown_;    // its name, for messages
    uint64_t size_ = 0;
    uint64_t position_ = 0;
    uint64_t extent_end_ = 0;
    std::vector<std::byte> buffer_ = std::vector<std::byte>(size_t{256} << 10);
};

}  // namespace

std::unique_ptr<Entries> open_folder(const std::filesystem::path& folder) {
    return std::make_unique<FolderEntries>(folder, true);
}

std::unique_ptr<Entries> open_one_file(const std::filesystem::path& file) {
    return std::make_unique<FolderEntries>(file, false);
}

}  // namespace oci
