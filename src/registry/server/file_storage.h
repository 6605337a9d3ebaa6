#pragma once

#include <sys/statvfs.h>

#include <filesystem>

#include "registry/server/storage.h"

namespace registry::server {

// Chunks as files: FOLDER/chunks/ab/ab…. A chunk is written as FOLDER/incoming/N, flushed and then renamed, so it is complete under its
// name.
class FileStorage : public Storage {
public:
    // Makes missing folders. Throws base::SystemError.
    explicit FileStorage(const std::filesystem::path& folder);

    // Removes what a killed server left half-written. Call it only while no other server runs.
    void clear_incoming();

    bool has(const std::string& sha256) const override;
    std::unique_ptr<ChunkWriter> begin(const std::string& sha256, uint64_t length) override;
    std::unique_ptr<ChunkReader> open(const std::string& sha256) const override;
    void remove(const std::string& sha256) override;
    void list(const std::function<void(const std::string&, uint64_t)>& each) const override;
    uint64_t free_bytes() const override;
    uint64_t free_files() const override;

private:
    std::filesystem::path path(const std::string& sha256) const;
    struct statvfs disk() const;

    std::filesystem::path chunks_;
    std::filesystem::path incoming_;
};

}  // namespace registry::server
