#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gvmi/squashfs_tree.h"

namespace gvmi {

// What is different at a path of two images.
struct Difference {
    enum class Kind { added, removed, changed };

    Kind kind = Kind::changed;
    std::string path;
    std::vector<std::string>
        what;  // of a change: "type", "mode", "owner", "time", "links", "size", "content", "target", "device", "attributes"
};

// Compares two trees entry by entry, sorted by path; contents are compared by their bytes. Throws base::Error, also beyond the limits,
// which hold for each of the two.
void diff(SquashfsReader& a, SquashfsReader& b, const Limits& limits, const std::function<void(const Difference&)>& report);

}  // namespace gvmi
