#include "oci/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <set>

#include "base/error.h"
#include "base/size.h"
#include "oci/tar.h"

namespace oci {
namespace {

constexpr size_t kMaxSmall = size_t{4} << 20;
constexpr int kMaxLinks = 10;

// "./a//b/../c" becomes "a/c"; ".." at the top is kept.
std::string normal(const std::string& path) {
    std::string result = std::filesystem::path("/" + path).lexically_normal().string();
    result.erase(0, result.find_first_not_of('/'));
    if (result.ends_with('/')) result.pop_back();
    return result;
}

class FolderFiles : public Files {
public:
    FolderFiles(base::UniqueFd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

    std::optional<File> find(const std::string& path) const override {
        const std::string inside = normal(path);
        base::UniqueFd fd(::openat(fd_.get(), inside.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        const std::string name = (path_ / inside).string();
        if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
        if (!fd) base::throw_errno("cannot open ", name);
        struct stat status {};
        if (::fstat(fd.get(), &status) < 0) base::throw_errno("cannot examine ", name);
        if (!S_ISREG(status.st_mode)) return std::nullopt;
        const auto shared = std::make_shared<const base::UniqueFd>(std::move(fd));
        return File{static_cast<uint64_t>(status.st_size), [shared, name] { return read_file(shared, name); }};
    }

    bool has(const std::string& path) const override {
        struct stat status {};
        return ::fstatat(fd_.get(), normal(path).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    }

private:
    base::UniqueFd fd_;
    std::filesystem::path path_;
};

class Tar : public Files {
public:
    Tar(std::shared_ptr<const base::UniqueFd> fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {
        TarReader reader(read_file(fd_, name_));
        TarEntry entry;
        std::string file;  // the previous entry, where it was a file: its data ends where the next header begins
        size_t count = 0;
        uint64_t name_bytes = 0;
        while (true) {
            const bool there = reader.next(entry);
            if (!file.empty()) members_[file].offset = reader.header_offset() - padded(members_[file].size);
            // A root file system has more files than an image archive; only its top level is asked for.
            if (!there || ++count > kMaxEntries) break;
            name_bytes += entry.path.size() + entry.target.size();
            if (name_bytes > kMaxNameBytes)
                throw base::Error("the archive has more than " + base::format_size(kMaxNameBytes) + " of file names");
            const std::string path = normal(entry.path);
            top_.insert(path.substr(0, path.find('/')));
            file.clear();
            if (entry.type == TarEntry::Type::file && !reader.is_sparse()) {
                members_[path] = {0, entry.size, ""};
                file = path;
            }
            if (entry.type == TarEntry::Type::hard_link) members_[path] = {0, 0, normal(entry.target)};
            if (entry.type == TarEntry::Type::symlink) {
                const std::string folder = std::filesystem::path(path).parent_path().string();
                members_[path] = {0, 0, normal(entry.target.starts_with('/') ? entry.target : folder + "/" + entry.target)};
            }
        }
    }

    std::optional<File> find(const std::string& path) const override {
        auto found = members_.find(normal(path));
        for (int i = 0; i < kMaxLinks && found != members_.end() && !found->second.target.empty(); i++) {
            found = members_.find(found->second.target);
        }
        if (found == members_.end() || !found->second.target.empty()) return std::nullopt;
        const auto [offset, size, target] = found->second;
        return File{size, [fd = fd_, name = name_, offset = offset, size = size] { return read_range(fd, name, offset, size); }};
    }

    bool has(const std::string& path) const override { return top_.count(path) > 0 || members_.count(path) > 0; }

private:
    struct Entry {
        uint64_t offset = 0;  // of its data
        uint64_t size = 0;
        std::string target;  // of a link
    };
    static constexpr size_t kMaxEntries = 100000;
    static constexpr uint64_t kMaxNameBytes = uint64_t{64} << 20;  // a PAX header can give a name of 1 MiB

    static uint64_t padded(uint64_t size) {
        constexpr uint64_t kBlock = 512;
        return (size + kBlock - 1) / kBlock * kBlock;
    }

    std::shared_ptr<const base::UniqueFd> fd_;
    std::string name_;
    std::map<std::string, Entry> members_;
    std::set<std::string> top_;  // the first parts of all paths
};

// The file itself, or an uncompressed copy of it.
std::shared_ptr<const base::UniqueFd> plain(std::shared_ptr<const base::UniqueFd> fd, const std::string& name, uint64_t limit) {
    if (!is_compressed(read_file(fd, name)->next())) return fd;
    const StreamPtr stream = decompress(read_file(fd, name), limit);
    const std::string copy_name = "a temporary file in " + std::filesystem::temp_directory_path().string();
    auto copy = std::make_shared<base::UniqueFd>(unnamed_file());
    off_t size = 0;
    for (auto bytes = stream->next(); !bytes.empty(); bytes = stream->next()) {
        // Zeros, of which a few bytes can unpack to any number, take no space.
        const bool zeros = std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
        if (!zeros) {
            if (::lseek(copy->get(), size, SEEK_SET) < 0) base::throw_errno("cannot write ", copy_name);
            base::write_all(copy->get(), bytes, copy_name);
        }
        size += static_cast<off_t>(bytes.size());
    }
    if (::ftruncate(copy->get(), size) < 0) base::throw_errno("cannot write ", copy_name);
    return copy;
}

}  // namespace

std::shared_ptr<const Files> open_files(const std::filesystem::path& path, uint64_t limit) {
    base::UniqueFd fd = base::open_file(path, O_RDONLY | O_NONBLOCK);
    struct stat status {};
    if (::fstat(fd.get(), &status) < 0) base::throw_errno("cannot examine ", path);
    if (S_ISDIR(status.st_mode)) return std::make_shared<FolderFiles>(std::move(fd), path);
    if (!S_ISREG(status.st_mode)) throw base::Error("it is neither a file nor a folder");
    const std::string name = path.string();
    return std::make_shared<Tar>(plain(std::make_shared<const base::UniqueFd>(std::move(fd)), name, limit), name);
}

std::shared_ptr<const Files> open_tar(std::shared_ptr<const base::UniqueFd> fd, const std::string& name) {
    return std::make_shared<Tar>(std::move(fd), name);
}

std::string read_small(const Files& files, const std::string& path) {
    return base::with_context(path, [&] {
        const std::optional<Files::File> file = files.find(path);
        if (!file) throw base::Error("missing");
        const StreamPtr stream = file->open();
        return read_all(*stream, kMaxSmall);
    });
}

}  // namespace oci
