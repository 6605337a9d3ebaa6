#include "registry/server/sending.h"

#include <microhttpd.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

namespace registry::server {

Sending::Sending(const Response& response, MHD_Connection* connection, Workers& readers, size_t block)
    : content_(response.content),
      offset_(response.content_offset),
      connection_(connection),
      readers_(&readers),
      left_(response.content_length),
      block_(block) {
    fill(0);
}

void Sending::fill(uint64_t position) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(block_.size(), left_));
    filled_ = content_->read(offset_ + position, std::span(block_).first(wanted));
    taken_ = 0;
    left_ -= filled_;
}

void Sending::fill_or_fail(uint64_t position) {
    try {
        fill(position);
        failed_ = filled_ == 0;
    } catch (const std::exception& e) {
        spdlog::error("a download is broken off: {}", e.what());
        failed_ = true;
    }
}

// Returns 0 until a thread has read something.
ssize_t Sending::next(uint64_t position, std::span<std::byte> buffer) {
    if (failed_) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (taken_ < filled_) {
        const size_t n = std::min(buffer.size(), filled_ - taken_);
        std::memcpy(buffer.data(), block_.data() + taken_, n);
        taken_ += n;
        return static_cast<ssize_t>(n);
    }
    MHD_suspend_connection(connection_);
    const auto read = [this, position, connection = connection_] {
        fill_or_fail(position);
        MHD_resume_connection(connection);  // from here on the connection may end, and this with it
    };
    if (!readers_->post(read)) {  // the server stops
        failed_ = true;
        MHD_resume_connection(connection_);
    }
    return 0;
}

ssize_t Sending::read_next(void* cls, uint64_t position, char* data, size_t size) {
    auto& sending = *static_cast<Sending*>(cls);
    const std::span buffer = std::as_writable_bytes(std::span(data, size));
    if (sending.readers_) return sending.next(position, buffer);
    try {
        const size_t n = sending.content_->read(sending.offset_ + position, buffer);
        return n > 0 ? static_cast<ssize_t>(n) : MHD_CONTENT_READER_END_WITH_ERROR;
    } catch (const std::exception& e) {
        spdlog::error("{}", e.what());
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
}

}  // namespace registry::server
