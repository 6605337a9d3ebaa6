#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "registry/server/http.h"
#include "registry/server/workers.h"

namespace registry::server {

// An answer's content on its way to a client, by libmicrohttpd's callback.
class Sending {
public:
    // Content that is read when libmicrohttpd wants it.
    Sending(const Response& response, MHD_Connection* connection)
        : connection_(connection), content_(response.content), offset_(response.content_offset) {}

    // Slow content: a thread of `readers` reads it a block at a time, with `ahead` the next one while one is sent; the connection is
    // suspended while there is none. Reads the first block at once; throws as the content does.
    Sending(const Response& response, MHD_Connection* connection, Workers& readers, size_t block, bool ahead);
    ~Sending();
    Sending(const Sending&) = delete;
    Sending& operator=(const Sending&) = delete;

    // MHD_ContentReaderCallback; `cls` is the Sending.
    static ssize_t read_next(void* cls, uint64_t position, char* data, size_t size);

private:
    // What the connection and a thread of `readers` share. The thread may outlive the connection.
    struct Blocks {
        std::shared_ptr<Content> content;
        MHD_Connection* connection;
        Workers& readers;

        std::mutex mutex;  // of the rest
        uint64_t offset;   // of what is read next
        uint64_t left;     // bytes that are not yet read
        std::array<std::vector<std::byte>, 2> data = {};
        std::array<size_t, 2> filled = {};  // bytes; 0: it is empty
        size_t count = 1;                   // of the blocks that are used
        size_t filling = 0, taking = 0;     // the ones that are filled and taken from next
        size_t taken = 0;                   // of the latter's bytes
        bool reading = false;               // a thread does, or will
        bool suspended = false;
        bool failed = false;
        bool gone = false;  // nobody wants more
    };
    static void fill(Blocks& blocks);
    static void read_on(const std::shared_ptr<Blocks>& blocks);
    static void begin_reading(const std::shared_ptr<Blocks>& blocks);
    ssize_t next(std::span<std::byte> buffer);
    // Ends the connection, so that the client sees at once that the rest does not come; libmicrohttpd alone would keep it until its time is
    // over.
    ssize_t break_off() const;

    MHD_Connection* connection_;
    std::shared_ptr<Content> content_;
    uint64_t offset_ = 0;             // of the answer's first byte
    std::shared_ptr<Blocks> blocks_;  // of slow content
};

}  // namespace registry::server
