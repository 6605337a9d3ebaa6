#include "registry/server/sending.h"

#include <microhttpd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

namespace registry::server {
namespace {

// A block that takes longer than the latter is followed by a shorter one, so that a client of a slow store is not long without a byte.
constexpr std::chrono::milliseconds kFast{50}, kSlow{500};

}  // namespace

Sending::Sending(const Response& response, MHD_Connection* connection, Workers& readers, const Blocks& blocks)
    : connection_(connection),
      ring_(new Ring{.content = response.content,
                     .connection = connection,
                     .readers = readers,
                     .sizes = blocks,
                     .mutex = {},
                     .offset = response.content_offset,
                     .left = response.content_length,
                     .size = blocks.first}) {
    fill(*ring_);
    if (ring_->may_check()) check(*ring_);
}

Sending::~Sending() {
    if (!ring_) return;
    const std::lock_guard lock(ring_->mutex);
    ring_->gone = true;
}

// Fills the next block. Only one thread at a time does, and without the lock: nobody else touches an empty block.
void Sending::fill(Ring& ring) {
    Block& block = ring.blocks.at(ring.filling);
    const uint64_t wanted = std::min<uint64_t>(ring.size, ring.left);
    if (block.data.size() < wanted) block.data = std::vector<std::byte>(wanted);
    const auto begin = std::chrono::steady_clock::now();
    const size_t n = ring.content->read(ring.offset, std::span(block.data).first(wanted));
    const auto took = std::chrono::steady_clock::now() - begin;
    const bool check = ring.sizes.count < 3;  // no other thread can meanwhile
    if (check) ring.content->check(ring.offset, std::span(block.data).first(n));
    const std::lock_guard lock(ring.mutex);
    ring.failed = ring.failed || (n == 0 && ring.left > 0);
    block.offset = ring.offset;
    block.filled = n;
    block.checked = check && n > 0;
    if (check) ring.checking = (ring.filling + 1) % ring.sizes.count;
    ring.offset += n;
    ring.left -= n;
    ring.filling = (ring.filling + 1) % ring.sizes.count;
    if (took < kFast) ring.size = std::min(ring.size * 2, ring.sizes.longest);
    if (took > kSlow) ring.size = std::max(ring.size / 2, ring.sizes.first);
}

// Checks the next block, which nobody takes or fills before; one thread at a time.
void Sending::check(Ring& ring) {
    Block& block = ring.blocks.at(ring.checking);
    ring.content->check(block.offset, std::span(block.data).first(block.filled));
    const std::lock_guard lock(ring.mutex);
    block.checked = true;
    ring.checking = (ring.checking + 1) % ring.sizes.count;
}

// One step, which `running` tells of, and what can be done after it.
void Sending::run(const std::shared_ptr<Ring>& ring, Step step, bool Ring::*running) {
    bool failed = false;
    try {
        step(*ring);
    } catch (const std::exception& e) {
        spdlog::error("a download is broken off: {}", e.what());
        failed = true;
    }
    std::unique_lock lock(ring->mutex);
    ring->failed |= failed;
    (*ring).*running = false;
    start(ring, std::move(lock));
}

// Begins what can be done now, and lets the connection go on where there is something for it.
void Sending::start(const std::shared_ptr<Ring>& ring, std::unique_lock<std::mutex> lock) {
    const bool read = !ring->reading && ring->may_read();
    const bool compare = !ring->comparing && ring->may_check();
    ring->reading |= read;
    ring->comparing |= compare;
    const bool resume = ring->suspended && (ring->failed || ring->blocks.at(ring->taking).checked);
    if (resume) ring->suspended = false;
    lock.unlock();
    if (resume) MHD_resume_connection(ring->connection);
    if (read) post(ring, &fill, &Ring::reading);
    if (compare) post(ring, &check, &Ring::comparing);
}

void Sending::post(const std::shared_ptr<Ring>& ring, Step step, bool Ring::*running) {
    if (ring->readers.post([ring, step, running] { run(ring, step, running); })) return;
    std::unique_lock lock(ring->mutex);  // the server stops
    ring->failed = true;
    (*ring).*running = false;
    start(ring, std::move(lock));
}

// Returns 0, with the connection suspended, until a thread has read something.
ssize_t Sending::next(std::span<std::byte> buffer) {
    Ring& ring = *ring_;
    std::unique_lock lock(ring.mutex);
    size_t got = 0;
    while (got < buffer.size() && ring.blocks.at(ring.taking).checked) {
        Block& block = ring.blocks.at(ring.taking);
        const size_t n = std::min(buffer.size() - got, block.filled - ring.taken);
        std::memcpy(buffer.data() + got, block.data.data() + ring.taken, n);
        got += n;
        ring.taken += n;
        if (ring.taken < block.filled) break;
        block.filled = ring.taken = 0;
        block.checked = false;
        ring.taking = (ring.taking + 1) % ring.sizes.count;
    }
    if (got == 0 && ring.failed) return break_off();
    if (got == 0) {
        ring.suspended = true;
        MHD_suspend_connection(ring.connection);
    }
    start(ring_, std::move(lock));
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
    if (sending.ring_) return sending.next(buffer);
    try {
        const size_t n = sending.content_->read(sending.offset_ + position, buffer);
        return n > 0 ? static_cast<ssize_t>(n) : sending.break_off();
    } catch (const std::exception& e) {
        spdlog::error("a download is broken off: {}", e.what());
        return sending.break_off();
    }
}

}  // namespace registry::server
