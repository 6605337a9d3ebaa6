#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fd.h"
#include "thin/blocks.h"
#include "thin/nbd_server.h"

namespace thin {

// An image as a disk for VMs, over NBD.
class ImageServer {
public:
    // A thin image's. `options.arrived` is replaced. `cache` must outlive the object.
    ImageServer(gvmi::ThinTable table, BlockCache* cache, FetchOptions options);
    // A full image's, of `size` bytes, which notes what is read.
    ImageServer(base::UniqueFd file, uint64_t size);
    ~ImageServer();  // ends all connections, then as ~Blocks
    ImageServer(const ImageServer&) = delete;
    ImageServer& operator=(const ImageServer&) = delete;

    // A new connection: the client's end.
    base::UniqueFd connect();

    // Of a full image: the numbers of the blocks (gvmi::kThinBlock) that clients have read, in the order of their first reads.
    std::vector<uint32_t> first_reads() const;

private:
    bool read_noting(uint64_t position, std::span<std::byte> buffer);
    void wake();

    uint64_t size_;
    base::UniqueFd file_;
    mutable std::mutex mutex_;  // of the following
    std::vector<bool> seen_;
    std::vector<uint32_t> first_reads_;
    std::list<NbdServer> connections_;
    std::unique_ptr<Blocks> blocks_;  // last, since its threads use the rest
};

}  // namespace thin
