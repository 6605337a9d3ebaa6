#pragma once

#include <memory>
#include <optional>

#include "base/hash.h"
#include "registry/server/http.h"
#include "registry/server/metadata.h"
#include "registry/server/storage.h"

namespace registry::server {

// The bytes of an image, read from its chunks.
class ImageContent : public Content {
public:
    ImageContent(const Storage& storage, Descriptor descriptor) : storage_(storage), descriptor_(std::move(descriptor)) {}
    bool slow() const override { return storage_.remote(); }
    void expect(uint64_t first, uint64_t length) override;
    size_t read(uint64_t offset, std::span<std::byte> buffer) override;
    // Compares the SHA-256 of each chunk that is read as a whole.
    void check(uint64_t offset, std::span<const std::byte> data) override;

private:
    void open_chunk_at(uint64_t offset);

    const Storage& storage_;
    Descriptor descriptor_;
    uint64_t end_ = UINT64_MAX;  // of what will be read
    bool began_ = false;
    std::unique_ptr<ChunkReader> reader_;
    size_t number_ = 0;  // the chunk that `reader_` reads

    std::optional<base::Hasher> hasher_;  // of a chunk whose bytes from the first on have come in order
    uint64_t hashed_ = 0;                 // the offset up to which they have
};

// The part of `size` bytes that a Range header asks for (RFC 9110, 14.1.2).
struct Range {
    enum class Kind { whole, part, impossible } kind = Kind::whole;
    uint64_t first = 0;
    uint64_t length = 0;
};

// Only single ranges are understood; anything else gets the complete content, as the RFC allows.
Range parse_range(const std::string& header, uint64_t size);

}  // namespace registry::server
