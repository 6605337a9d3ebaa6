#include "thin/image_server.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace thin {

ImageServer::ImageServer(gvmi::ThinTable table, BlockCache* cache, FetchOptions options) : size_(table.size) {
    options.arrived = [this] { wake(); };
    blocks_ = std::make_unique<Blocks>(std::move(table), cache, std::move(options));
}

ImageServer::ImageServer(base::UniqueFd file, uint64_t size) : size_(size), file_(std::move(file)), seen_(gvmi::thin_blocks(size)) {}

// The connections read from the blocks, whose threads wake the connections.
ImageServer::~ImageServer() {
    std::list<NbdServer> ended;
    {
        const std::lock_guard lock(mutex_);
        ended.swap(connections_);
    }
    ended.clear();
    blocks_.reset();
}

base::UniqueFd ImageServer::connect() {
    auto [ours, theirs] = base::socket_pair();
    NbdServer::TryRead read = [this](uint64_t position, std::span<std::byte> buffer) {
        return blocks_ ? blocks_->read(position, buffer) : read_noting(position, buffer);
    };
    const std::lock_guard lock(mutex_);
    connections_.emplace_back(size_, std::move(read), std::move(ours));
    return std::move(theirs);
}

bool ImageServer::read_noting(uint64_t position, std::span<std::byte> buffer) {
    {
        const std::lock_guard lock(mutex_);
        for (uint64_t block = position / gvmi::kThinBlock; block * gvmi::kThinBlock < position + buffer.size(); block++) {
            if (seen_[block]) continue;
            seen_[block] = true;
            first_reads_.push_back(static_cast<uint32_t>(block));
        }
    }
    if (base::pread_full(file_.get(), buffer, position, "the image") != buffer.size()) throw base::Error("the image became shorter");
    return true;
}

std::vector<uint32_t> ImageServer::first_reads() const {
    const std::lock_guard lock(mutex_);
    return first_reads_;
}

void ImageServer::wake() {
    const std::lock_guard lock(mutex_);
    for (NbdServer& connection : connections_)
        connection.wake();
}

}  // namespace thin
