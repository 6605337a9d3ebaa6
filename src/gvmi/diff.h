#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gvmi/squashfs_tree.h"

namespace gvmi {

// A difference at a path of two images.
struct Difference {
    enum class Kind { added, removed, changed };

    Kind kind = Kind::changed;
    std::string path;
    std::vector<std::string>
        what;  // of a change: "type", "mode", "owner", "time", "links", "size", "content", "target", "device", "attributes"
};

// Whether two images are known to have the same bytes from a position on; false where nobody knows.
using KnownSame = std::function<bool(uint64_t position, uint64_t size)>;

// Compares two trees entry by entry, sorted by path, and contents byte by byte, but for files whose bytes are known to be the same. Throws
// base::Error, also beyond the limits, which apply to each of the two.
void diff(SquashfsReader& a, SquashfsReader& b, const Limits& limits, const std::function<void(const Difference&)>& report,
          const KnownSame& known_same = {});

}  // namespace gvmi
