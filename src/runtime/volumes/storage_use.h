#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fd.h"

namespace runtime {

// What files take of the host's disk.
struct StorageUse {
    uint64_t bytes = 0;   // in allocated blocks, which a sparse file has few of
    uint64_t inodes = 0;  // bytes that the inodes count for
    size_t too_deep = 0;  // levels of folders below which nothing was counted: kMaxNesting, or as many as there are descriptors; 0: all was
};

// Levels of folders below the share. Programs that remove a tree often hold a descriptor for each level, of which a process has 1,024.
constexpr size_t kMaxNesting = 512;
// What an inode counts for: a file system has so many of them, and empty files take no blocks.
constexpr uint64_t kInodeBytes = 1024;

// Bytes in allocated blocks.
uint64_t allocated(const struct stat& status);

// What is below a folder. Files with several names count once, symbolic links are not followed, and what cannot be read counts nothing.
// Changes meanwhile can at most make a number wrong. Returns early once `stopped` is set.
StorageUse storage_below(int folder, const std::atomic<bool>& stopped);

// Bytes of files on the file system of `folder` that a process holds open and that have no name any more, except for `known` files. 0 where
// the process is gone or may not be looked into.
uint64_t unnamed_bytes(pid_t process, int folder, std::span<const base::UniqueFd> known);

// Gives every folder below `folder` back to its owner (u+rwx), so that the owner can remove it, and moves what is nested over kMaxNesting
// levels, or more than there are descriptors, up into `folder`, under a new name. For a tree that no guest can change any more. Returns
// early once `stopped` is set.
void make_removable(int folder, const std::atomic<bool>& stopped);

}  // namespace runtime
