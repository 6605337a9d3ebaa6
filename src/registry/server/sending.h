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
    static constexpr size_t kMaxBlocks = 4;
    // How slow content is read.
    struct Blocks {
        size_t count;           // with 1 nothing is read while one is sent, with 2 one is; with more another thread checks
        size_t first, longest;  // bytes of a block at the beginning, and once the content has come fast
    };

    // Content that is read when libmicrohttpd wants it.
    Sending(const Response& response, MHD_Connection* connection)
        : connection_(connection), content_(response.content), offset_(response.content_offset) {}

    // Slow content: threads of `readers` read and check it a block at a time; the connection is suspended while there is none. Reads the
    // first block at once; throws as the content does.
    Sending(const Response& response, MHD_Connection* connection, Workers& readers, const Blocks& blocks);
    ~Sending();
    Sending(const Sending&) = delete;
    Sending& operator=(const Sending&) = delete;

    // MHD_ContentReaderCallback; `cls` is the Sending.
    static ssize_t read_next(void* cls, uint64_t position, char* data, size_t size);

private:
    struct Block {
        std::vector<std::byte> data;
        uint64_t offset = 0;
        size_t filled = 0;  // bytes; 0: it is empty
        bool checked = false;
    };
    // What the connection and the threads of `readers` share. The threads may outlive the connection.
    struct Ring {
        std::shared_ptr<Content> content;
        MHD_Connection* connection;
        Workers& readers;
        Blocks sizes;

        std::mutex mutex;     // of the rest
        uint64_t offset = 0;  // of what is read next
        uint64_t left = 0;    // bytes that are not yet read
        std::array<Block, kMaxBlocks> blocks = {};
        size_t size = 0;                               // of the next block
        size_t filling = 0, checking = 0, taking = 0;  // the blocks that are filled, checked and taken from next
        size_t taken = 0;                              // of the latter's bytes
        bool reading = false, comparing = false;       // a thread does, or will
        bool suspended = false;
        bool failed = false;
        bool gone = false;  // nobody wants more

        bool may_read() const { return !failed && !gone && left > 0 && blocks.at(filling).filled == 0; }
        bool may_check() const { return !failed && !gone && blocks.at(checking).filled > 0 && !blocks.at(checking).checked; }
    };
    using Step = void (*)(Ring& ring);

    static void fill(Ring& ring);
    static void check(Ring& ring);
    static void start(const std::shared_ptr<Ring>& ring, std::unique_lock<std::mutex> lock);
    static void post(const std::shared_ptr<Ring>& ring, Step step, bool Ring::*running);
    static void run(const std::shared_ptr<Ring>& ring, Step step, bool Ring::*running);
    ssize_t next(std::span<std::byte> buffer);
    // Ends the connection, so that the client sees at once that the rest does not come; libmicrohttpd alone would keep it until its time is
    // over.
    ssize_t break_off() const;

    MHD_Connection* connection_;
    std::shared_ptr<Content> content_;
    uint64_t offset_ = 0;         // of the answer's first byte
    std::shared_ptr<Ring> ring_;  // of slow content
};

}  // namespace registry::server
