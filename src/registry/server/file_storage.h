#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>

#include "registry/server/storage.h"

namespace registry::server {

// Chunks as files: FOLDER/chunks/ab/ab…. A chunk is written as FOLDER/incoming/SERVER.N, flushed and then renamed, so it is complete under
// its name.
class FileStorage : public Storage {
public:
    // Makes missing folders. Throws base::SystemError.
    explicit FileStorage(const std::filesystem::path& folder);

    void clear_incoming(std::chrono::seconds age) override;
    void ping() const override { (void)free_bytes(); }

    bool has(const std::string& sha256) const override;
    std::unique_ptr<ChunkWriter> begin(const std::string& sha256, uint64_t length) override;
    using Storage::open;
    std::unique_ptr<ChunkReader> open(const std::string& sha256, const Wanted& wanted) const override;
    void remove(const std::string& sha256) override;
    void list(const std::function<void(const std::string&, uint64_t)>& each,
              const std::function<void(const std::string&)>& other = {}) const override;
    uint64_t free_bytes() const override;
    uint64_t free_files() const override;

private:
    std::filesystem::path path(const std::string& sha256) const;

    std::filesystem::path chunks_;
    std::filesystem::path incoming_;
    std::string prefix_;  // of our files in `incoming`: other servers may have some there
    std::atomic<uint64_t> next_ = 0;
};

// Makes those that are missing, each after the one that it is in. Throws base::SystemError.
void make_folders(const std::vector<std::filesystem::path>& folders);

// What the disk of a folder still takes: bytes, and files (UINT64_MAX where its file system has no such limit). Throws base::SystemError.
uint64_t free_bytes_of(const std::filesystem::path& folder);
uint64_t free_files_of(const std::filesystem::path& folder);

}  // namespace registry::server
