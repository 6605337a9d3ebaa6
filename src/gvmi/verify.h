#pragma once

#include <cstdint>

#include "gvmi/squashfs_tree.h"

namespace gvmi {

struct Verified {
    uint64_t entries = 0;
    uint64_t bytes = 0;  // of data, without holes; data that is stored once and used twice counts twice
};

// Reads everything in a squashfs: every inode, listing, attribute and block. Throws base::Error with the path at the first that is damaged,
// and beyond the limits.
Verified verify(SquashfsReader& reader, const Limits& limits);

// Counts file data against the limit; a hole counts a little, since it takes time. Throws base::Error beyond it.
class Budget {
public:
    explicit Budget(uint64_t bytes) : left_(bytes) {}
    void take(const FileData::Block& block);

private:
    uint64_t left_;
};

}  // namespace gvmi
