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

    void add(std::span<const std::byte> data) {
        count(data.size());
        hash(data);
    }
    // The two parts of `add`: so many bytes have come, which throws HttpError where it becomes longer than announced; and their hash.
    void count(uint64_t bytes);
    void hash(std::span<const std::byte> data) { hasher_.update(data); }
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
