#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/hash.h"
#include "s3/client.h"

namespace s3 {

// Writes an object in parts, one after another, of which one at a time is in memory. Nobody sees the object before `finish`; the destructor
// drops what was not finished, where the store answers.
class MultipartWriter {
public:
    // Of `size` bytes. `client` must outlive it. Throws as Client does, as do the others.
    MultipartWriter(Client& client, std::string key, uint64_t size);
    MultipartWriter(const MultipartWriter&) = delete;
    MultipartWriter& operator=(const MultipartWriter&) = delete;
    ~MultipartWriter();

    void write(std::span<const std::byte> data);
    void finish();

private:
    void send_part();

    Client& client_;
    std::string key_;
    uint64_t size_, part_size_;
    std::string id_;  // of the upload; empty once it is finished
    base::UniqueFd part_ = base::memory_file("part");
    base::Hasher hasher_{base::Hasher::Kind::sha256};
    uint64_t filled_ = 0;  // bytes of the part
    std::vector<std::string> etags_;
};

// The bytes of each part but the last, for an object of so many: a store takes at most 10,000 parts.
uint64_t part_size_for(uint64_t size);

}  // namespace s3
