#include "registry/server/chunk_check.h"

#include "registry/server/errors.h"

namespace registry::server {

void ChunkCheck::count(uint64_t bytes) {
    if (bytes > length_ - seen_) throw HttpError(http::kBadRequest, "the chunk is longer than its chunk-len");
    seen_ += bytes;
}

void ChunkCheck::finish() {
    if (seen_ != length_) throw HttpError(http::kBadRequest, "the chunk is shorter than its chunk-len");
    if (hasher_.hex() != sha256_) throw HttpError(http::kBadRequest, "the chunk's SHA-256 is not its chunk-sha256");
}

}  // namespace registry::server
