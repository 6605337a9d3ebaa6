#include "registry/server/file_storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <random>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/hex.h"
#include "registry/server/chunk_check.h"

namespace registry::server {
namespace {

class FileWriter : public ChunkWriter {
public:
    // An empty `temporary`: the chunk is stored already, and its bytes are only checked.
    FileWriter(std::string sha256, uint64_t length, std::filesystem::path temporary, std::filesystem::path final)
        : check_(std::move(sha256), length), temporary_(std::move(temporary)), final_(std::move(final)) {
        if (!temporary_.empty()) fd_ = base::open_file(temporary_, O_WRONLY | O_CREAT | O_EXCL);
    }
    FileWriter(const FileWriter&) = delete;
    FileWriter& operator=(const FileWriter&) = delete;
    ~FileWriter() override {
        if (!temporary_.empty()) ::unlink(temporary_.c_str());
    }

    void write(std::span<const std::byte> data) override {
        check_.add(data);
        if (fd_) base::write_all(fd_.get(), data, "a chunk");
    }

    bool commit() override {
        check_.finish();
        if (!fd_) return false;
        if (::fdatasync(fd_.get()) < 0) base::throw_errno("cannot write a chunk");
        const std::filesystem::path folder = final_.parent_path();
        if (::mkdir(folder.c_str(), 0777) == 0) {
            base::sync_folder(folder.parent_path());
        } else if (errno != EEXIST) {
            base::throw_errno("cannot make ", folder);
        }
        if (::rename(temporary_.c_str(), final_.c_str()) < 0) base::throw_errno("cannot make ", final_);
        temporary_.clear();
        base::sync_folder(folder);
        return true;
    }

private:
    ChunkCheck check_;
    std::filesystem::path temporary_;
    std::filesystem::path final_;
    base::UniqueFd fd_;
};

class FileReader : public ChunkReader {
public:
    explicit FileReader(const std::filesystem::path& path) : name_(path.string()), fd_(base::open_file(path, O_RDONLY)) {}
    size_t read(uint64_t offset, std::span<std::byte> buffer) override { return base::pread_full(fd_.get(), buffer, offset, name_); }

private:
    std::string name_;
    base::UniqueFd fd_;
};

struct statvfs disk_of(const std::filesystem::path& folder) {
    struct statvfs status {};
    if (::statvfs(folder.c_str(), &status) < 0) base::throw_errno("cannot look at ", folder);
    return status;
}

}  // namespace

FileStorage::FileStorage(const std::filesystem::path& folder) : chunks_(folder / "chunks"), incoming_(folder / "incoming") {
    std::random_device random;
    prefix_ = std::to_string(random()) + "-" + std::to_string(random()) + ".";
    make_folders({folder, chunks_, incoming_});
}

void FileStorage::clear_incoming(std::chrono::seconds age) {
    for (const auto& entry : std::filesystem::directory_iterator(incoming_)) {
        std::error_code gone;  // by another server
        const auto written = entry.last_write_time(gone);
        if (!gone && written <= std::filesystem::file_time_type::clock::now() - age) std::filesystem::remove(entry.path(), gone);
    }
}

std::filesystem::path FileStorage::path(const std::string& sha256) const {
    return chunks_ / sha256.substr(0, 2) / sha256;
}

bool FileStorage::has(const std::string& sha256) const {
    return ::access(path(sha256).c_str(), F_OK) == 0;
}

std::unique_ptr<ChunkWriter> FileStorage::begin(const std::string& sha256, uint64_t length) {
    const std::filesystem::path temporary = has(sha256) ? std::filesystem::path() : incoming_ / (prefix_ + std::to_string(next_++));
    return std::make_unique<FileWriter>(sha256, length, temporary, path(sha256));
}

std::unique_ptr<ChunkReader> FileStorage::open(const std::string& sha256, const Wanted&) const {
    return std::make_unique<FileReader>(path(sha256));
}

void FileStorage::remove(const std::string& sha256) {
    const std::filesystem::path file = path(sha256);
    if (::unlink(file.c_str()) < 0 && errno != ENOENT) base::throw_errno("cannot remove ", file);
}

void FileStorage::list(const std::function<void(const std::string&, uint64_t)>& each,
                       const std::function<void(const std::string&)>& other) const {
    for (const auto& folder : std::filesystem::directory_iterator(chunks_)) {
        if (!folder.is_directory()) {
            if (other) other(folder.path());
            continue;
        }
        for (const auto& file : std::filesystem::directory_iterator(folder)) {
            std::error_code gone;
            const std::string name = file.path().filename();
            const uint64_t size = file.file_size(gone);
            if (base::is_hex(name, 64)) {
                if (!gone) each(name, size);
            } else if (other) {
                other(file.path());
            }
        }
    }
}

uint64_t FileStorage::free_files() const {
    return free_files_of(chunks_);
}

uint64_t FileStorage::free_bytes() const {
    return free_bytes_of(chunks_);
}

void make_folders(const std::vector<std::filesystem::path>& folders) {
    for (const std::filesystem::path& folder : folders) {
        if (::mkdir(folder.c_str(), 0750) < 0 && errno != EEXIST) base::throw_errno("cannot make ", folder);
    }
}

uint64_t free_files_of(const std::filesystem::path& folder) {
    const struct statvfs status = disk_of(folder);
    return status.f_files == 0 ? UINT64_MAX : status.f_favail;  // 0 on btrfs, for instance
}

uint64_t free_bytes_of(const std::filesystem::path& folder) {
    const struct statvfs status = disk_of(folder);
    return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace registry::server
