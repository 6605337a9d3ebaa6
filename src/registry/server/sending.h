#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "registry/server/http.h"
#include "registry/server/workers.h"

namespace registry::server {

// An answer's content on its way to a client, by libmicrohttpd's callback.
class Sending {
public:
    // Content that is read when libmicrohttpd wants it.
    explicit Sending(const Response& response) : content_(response.content), offset_(response.content_offset) {}

    // Slow content: a thread of `readers` reads it, a block at a time, while the connection is suspended. Reads the first block at once;
    // throws as the content does.
    Sending(const Response& response, MHD_Connection* connection, Workers& readers, size_t block);

    // MHD_ContentReaderCallback; `cls` is the Sending.
    static ssize_t read_next(void* cls, uint64_t position, char* data, size_t size);

private:
    void fill(uint64_t position);
    void fill_or_fail(uint64_t position);
    ssize_t next(uint64_t position, std::span<std::byte> buffer);

    std::shared_ptr<Content> content_;
    uint64_t offset_;  // of the answer's first byte
    // Of slow content alone:
    MHD_Connection* connection_ = nullptr;
    Workers* readers_ = nullptr;
    uint64_t left_ = 0;  // bytes that are not yet read
    std::vector<std::byte> block_;
    size_t filled_ = 0, taken_ = 0;
    bool failed_ = false;
};

}  // namespace registry::server
