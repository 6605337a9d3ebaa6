#include "registry/server/storage.h"

#include "registry/server/file_storage.h"
#include "registry/server/s3_storage.h"

namespace registry::server {

std::vector<bool> Storage::which(const std::vector<std::string>& chunks) const {
    std::vector<bool> there;
    there.reserve(chunks.size());
    for (const std::string& chunk : chunks)
        there.push_back(has(chunk));
    return there;
}

std::unique_ptr<Storage> open_storage(const StoreOptions& options) {
    if (options.s3.url.empty()) return std::make_unique<FileStorage>(options.data);
    return std::make_unique<S3Storage>(s3::settings(options.s3), options.data);
}

}  // namespace registry::server
