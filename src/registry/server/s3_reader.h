#pragma once

#include <optional>
#include <utility>

#include "registry/server/storage.h"
#include "s3/reader.h"

namespace registry::server {

// An object of an S3 store, by its key.
class S3ChunkReader : public ChunkReader {
public:
    S3ChunkReader(s3::Client& client, std::string key, const Wanted& wanted) : client_(client), key_(std::move(key)), wanted_(wanted) {
        start(wanted.first);
    }

    size_t read(uint64_t offset, std::span<std::byte> buffer) override {
        if (offset != reader_->position()) start(offset);
        const bool first = std::exchange(soon_, false);
        return reader_->read(buffer, first ? s3::Patience::little : s3::Patience::much);
    }

private:
    void start(uint64_t offset) { reader_.emplace(client_, key_, offset, wanted_.end); }

    s3::Client& client_;
    std::string key_;
    Wanted wanted_;
    bool soon_ = wanted_.soon;
    std::optional<s3::Reader> reader_;
};

}  // namespace registry::server
