#include "registry/server/sending.h"

#include <microhttpd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace registry::server {

Sending::Sending(const Response& response, MHD_Connection* connection, Workers& readers, size_t block, bool ahead)
    : connection_(connection),
      blocks_(new Blocks{.content = response.content,
                         .connection = connection,
                         .readers = readers,
                         .mutex = {},
                         .offset = response.content_offset,
                         .left = response.content_length}) {
    blocks_->count = ahead ? 2 : 1;
    for (size_t i = 0; i < blocks_->count; i++)
        blocks_->data.at(i).resize(std::min<uint64_t>(block, response.content_length));
    fill(*blocks_);
}

Sending::~Sending() {
    if (!blocks_) return;
    const std::lock_guard lock(blocks_->mutex);
    blocks_->gone = true;
}

// Fills the next block. Only one thread at a time does, and without the lock: nobody else touches an empty block.
void Sending::fill(Blocks& blocks) {
    std::vector<std::byte>& data = blocks.data.at(blocks.filling);
    const size_t n = blocks.content->read(blocks.offset, std::span(data).first(std::min<uint64_t>(data.size(), blocks.left)));
    const std::lock_guard lock(blocks.mutex);
    blocks.failed = n == 0 && blocks.left > 0;
    blocks.filled.at(blocks.filling) = n;
    blocks.offset += n;
    blocks.left -= n;
    blocks.filling = (blocks.filling + 1) % blocks.count;
}

void Sending::read_on(const std::shared_ptr<Blocks>& blocks) {
    bool failed = false;
    try {
        fill(*blocks);
    } catch (const std::exception& e) {
        spdlog::error("a download is broken off: {}", e.what());
        failed = true;
    }
    std::unique_lock lock(blocks->mutex);
    blocks->failed |= failed;
    const bool resume = std::exchange(blocks->suspended, false);
    const bool more = !blocks->failed && !blocks->gone && blocks->left > 0 && blocks->filled.at(blocks->filling) == 0;
    blocks->reading = more;
    lock.unlock();
    if (resume) MHD_resume_connection(blocks->connection);
    if (more) begin_reading(blocks);
}

// `reading` is set.
void Sending::begin_reading(const std::shared_ptr<Blocks>& blocks) {
    if (blocks->readers.post([blocks] { read_on(blocks); })) return;
    std::unique_lock lock(blocks->mutex);  // the server stops
    blocks->failed = true;
    blocks->reading = false;
    const bool resume = std::exchange(blocks->suspended, false);
    lock.unlock();
    if (resume) MHD_resume_connection(blocks->connection);
}

// Returns 0, with the connection suspended, until a thread has read something.
ssize_t Sending::next(std::span<std::byte> buffer) {
    Blocks& blocks = *blocks_;
    std::unique_lock lock(blocks.mutex);
    size_t got = 0;
    while (got < buffer.size() && blocks.filled.at(blocks.taking) > 0) {
        size_t& filled = blocks.filled.at(blocks.taking);
        const size_t n = std::min(buffer.size() - got, filled - blocks.taken);
        std::memcpy(buffer.data() + got, blocks.data.at(blocks.taking).data() + blocks.taken, n);
        got += n;
        blocks.taken += n;
        if (blocks.taken < filled) break;
        filled = blocks.taken = 0;
        blocks.taking = (blocks.taking + 1) % blocks.count;
    }
    if (got == 0 && blocks.failed) return break_off();
    const bool begin = !blocks.reading && !blocks.failed && blocks.left > 0 && blocks.filled.at(blocks.filling) == 0;
    blocks.reading |= begin;
    if (got == 0) {
        blocks.suspended = true;
        MHD_suspend_connection(blocks.connection);
    }
    lock.unlock();
    if (begin) begin_reading(blocks_);
    return static_cast<ssize_t>(got);
}

ssize_t Sending::break_off() const {
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection_, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info) (void)::shutdown(info->connect_fd, SHUT_RDWR);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

ssize_t Sending::read_next(void* cls, uint64_t position, char* data, size_t size) {
    auto& sending = *static_cast<Sending*>(cls);
    const std::span buffer = std::as_writable_bytes(std::span(data, size));
    if (sending.blocks_) return sending.next(buffer);
    try {
        const size_t n = sending.content_->read(sending.offset_ + position, buffer);
        return n > 0 ? static_cast<ssize_t>(n) : sending.break_off();
    } catch (const std::exception& e) {
        spdlog::error("a download is broken off: {}", e.what());
        return sending.break_off();
    }
}

}  // namespace registry::server
