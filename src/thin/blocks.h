#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "gvmi/thin_table.h"
#include "thin/block_cache.h"
#include "thin/policy.h"

namespace thin {

struct FetchOptions {
    Policy policy = {};
    unsigned connections = 6;
    uint64_t rate = 0;                      // bytes per second, of all connections; 0: any
    bool all = true;                        // fetch what nobody waits for, too, in the background
    std::chrono::seconds patience{600};     // for servers that fail, while somebody waits; then `failed`
    std::chrono::seconds silence{30};       // before `notice`
    std::function<void()> arrived = [] {};  // a block that somebody waits for is there
    std::function<void(const std::string&)> notice = [](const std::string&) {};  // why somebody waits: once per failure of all servers
    std::function<void(const std::string&)> failed = [](const std::string&) {};  // once: the patience is over; nothing is fetched any more
};

// The blocks of one image: from the cache, or fetched, by threads of its own. Only right bytes leave it. Blocks that somebody waits for
// come first, then the recorded start, then the rest. The callbacks come from those threads.
class Blocks {
public:
    // `cache` may be null; it must outlive the object. The last 16 MiB are kept in memory too.
    Blocks(gvmi::ThinTable table, BlockCache* cache, FetchOptions options);
    ~Blocks();  // ends the threads and their requests, within some 2 s
    Blocks(const Blocks&) = delete;
    Blocks& operator=(const Blocks&) = delete;

    const gvmi::ThinTable& table() const;

    // Reads bytes of the full image. Returns false, and asks for what is missing, where not all of them are there.
    bool read(uint64_t position, std::span<std::byte> buffer);

    // Like read, but waits. Throws base::Error with the last reason once the patience is over.
    void read_waiting(uint64_t position, std::span<std::byte> buffer);

    // The full image for those who read images, by read_waiting. Valid as long as this object.
    gvmi::ReadAt reader();

    // Bytes that came from servers so far, and whether all blocks are there.
    uint64_t fetched_bytes() const;
    bool complete() const;

private:
    class State;
    std::unique_ptr<State> state_;
};

}  // namespace thin
