#pragma once

#include <spdlog/common.h>

#include "registry/server/storage.h"
#include "s3/client.h"

namespace registry::server {

// Whole images as PREFIX/composed/NAME in an S3 store.
class S3Objects : public ImageObjects {
public:
    explicit S3Objects(s3::Client& client) : client_(client) {}

    std::unique_ptr<ObjectWriter> begin(const std::string& name, uint64_t size) override;
    std::unique_ptr<ChunkReader> open(const std::string& name) override;
    void remove(const std::string& name) override;
    void list(const std::function<void(const std::string&, std::optional<uint64_t>)>& each) override;
    std::string url(const std::string& name, std::chrono::seconds lifetime) const override;

private:
    // Uploads in parts that are not finished; none, with a word in the log, where the store does not tell these keys.
    std::vector<s3::PartialUpload> parts(const std::string& prefix, spdlog::level::level_enum level);

    s3::Client& client_;
};

}  // namespace registry::server
