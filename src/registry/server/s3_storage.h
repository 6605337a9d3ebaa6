#pragma once

#include <atomic>
#include <filesystem>

#include "registry/server/s3_objects.h"
#include "registry/server/storage.h"
#include "registry/server/workers.h"
#include "s3/client.h"

namespace registry::server {

// Chunks as objects of an S3 store: PREFIX/chunks/ab/ab…, the names that they have in a folder. A chunk is received into a file without a
// name in FOLDER/incoming, and put with its SHA-256, which the store compares: while it comes, and once more when it is there as a whole if
// that failed. So an object is complete, and two servers that put the same one do each other no harm.
class S3Storage : public Storage {
public:
    // Makes missing folders. Throws base::Error where the store refuses us; where it does not answer, the log says so.
    S3Storage(s3::Settings settings, const std::filesystem::path& folder);

    bool remote() const override { return true; }
    bool has(const std::string& sha256) const override;
    std::vector<bool> which(const std::vector<std::string>& chunks) const override;
    std::unique_ptr<ChunkWriter> begin(const std::string& sha256, uint64_t length) override;
    using Storage::open;
    std::unique_ptr<ChunkReader> open(const std::string& sha256, const Wanted& wanted) const override;
    void remove(const std::string& sha256) override;
    void list(const std::function<void(const std::string&, uint64_t)>& each,
              const std::function<void(const std::string&)>& other = {}) const override;
    uint64_t free_bytes() const override;
    uint64_t free_files() const override;
    ImageObjects* image_objects() override { return &objects_; }

private:
    static constexpr unsigned kSentEarly = 16;  // chunks at a time, each with a thread and a connection to the store

    mutable s3::Client client_;
    S3Objects objects_{client_};
    std::filesystem::path incoming_;
    std::atomic<unsigned> sending_early_ = 0;
    Workers uploads_{kSentEarly};
};

}  // namespace registry::server
