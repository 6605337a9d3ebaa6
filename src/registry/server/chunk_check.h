#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/hash.h"

namespace registry::server {

// Compares a chunk that comes in pieces with what its push announces.
class ChunkCheck {
public:
    ChunkCheck(std::string sha256, uint64_t length) : sha256_(std::move(sha256)), length_(length) {}

    // Throws HttpError where it becomes longer than announced.
    void add(std::span<const std::byte> data);
    // Throws HttpError where length or SHA-256 are not as announced. Call it once.
    void finish();

    const std::string& sha256() const { return sha256_; }
    uint64_t length() const { return length_; }

private:
    std::string sha256_;
    uint64_t length_;
    uint64_t seen_ = 0;
    base::Hasher hasher_{base::Hasher::Kind::sha256};
};

}  // namespace registry::server
