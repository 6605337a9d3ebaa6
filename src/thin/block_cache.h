// Folder thin: thin images (docs/spec/thin.md): the host's cache of blocks, fetching them, and serving an image to a VM while it arrives.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/fd.h"
#include "gvmi/thin_table.h"

namespace thin {

gvmi::BlockHash hash_of(std::span<const std::byte> data);

// Blocks of thin images below CACHE_DIR/blocks, each a file named by its SHA-256, shared by all processes of a user. A block is complete or
// absent, whenever a process is killed; what is read is compared with its hash, so a damaged file is only one that is fetched again. All
// functions may be called from any thread.
class BlockCache {
public:
    struct Limits {
        uint64_t bytes = uint64_t{20} << 30;  // of all blocks
        uint64_t free = uint64_t{2} << 30;    // that stay free on the file system
    };

    // Makes the folder. Throws base::Error, also where it or the folder above it belongs to somebody else.
    BlockCache(const std::filesystem::path& cache_dir, const Limits& limits);

    // Reads a block into `data`, whose size it must have. Returns false where it is not there, or damaged, in which case it is removed.
    bool read(const gvmi::BlockHash& hash, std::span<std::byte> data) const;

    // Whether a block of this size is there. It is not compared with its hash: who reads it does that.
    bool holds(const gvmi::BlockHash& hash, size_t bytes) const;

    // Stores a block. Returns false where there is no room, or the disk fails.
    bool store(const gvmi::BlockHash& hash, std::span<const std::byte> data);

    // Keeps blocks from being evicted for as long as it lives.
    class Lease {
    public:
        Lease() = default;
        Lease(std::filesystem::path path, base::UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
        Lease(Lease&&) noexcept = default;
        Lease& operator=(Lease&&) = delete;
        ~Lease();

    private:
        std::filesystem::path path_;
        base::UniqueFd fd_;
    };
    Lease lease(std::span<const gvmi::BlockHash> hashes) const;

    // A turn at fetching: of all processes that try, one gets the block until it closes `turns`, which is a file of open_turns(), or calls
    // end_turn.
    base::UniqueFd open_turns() const;
    static bool take_turn(const base::UniqueFd& turns, const gvmi::BlockHash& hash);
    static void end_turn(const base::UniqueFd& turns, const gvmi::BlockHash& hash);

    struct Use {
        uint64_t blocks = 0;
        uint64_t bytes = 0;          // on the disk
        uint64_t leased_blocks = 0;  // of running VMs
        uint64_t damaged = 0;        // found and removed, by `verify`
    };
    Use use() const;
    // Removes the blocks that were used longest ago until `bytes` are left at most, and the limit of free space holds; never leased ones.
    Use prune(uint64_t bytes) const;
    // Reads every block and removes damaged ones.
    Use verify() const;

private:
    struct Entry;
    std::filesystem::path path_of(const gvmi::BlockHash& hash) const;
    std::vector<Entry> entries() const;
    void make_room() const;

    std::filesystem::path folder_;
    Limits limits_;
    mutable std::atomic<uint64_t> stored_{0};  // bytes since the last look at the limits
};

}  // namespace thin
