#pragma once

#include <cstdint>
#include <string>

#include "oci/entries.h"

namespace convert {

// What an image may cost, over all of its layers. Each bounds memory, disk or time of a conversion of a stranger's image.
struct Limits {
    uint64_t data_bytes = uint64_t{64} << 30;       // of files, their holes included
    uint64_t entries = 2'000'000;                   // some 500 bytes of memory each
    uint64_t name_bytes = uint64_t{512} << 20;      // of paths and link targets
    uint64_t attribute_bytes = uint64_t{64} << 20;  // names and values
    uint64_t link_bytes = uint64_t{64} << 20;       // of the targets of symbolic links that are followed, each time
};

// Counts what the layers have, and make a reader do, against the limits. All functions throw base::Error that names the limit.
class Budget {
public:
    explicit Budget(const Limits& limits) : left_(limits), limits_(limits) {}

    void take(const oci::TarEntry& entry);
    // A folder that no entry describes: one path can name two thousand.
    void take_folder();
    // A symbolic link that is followed.
    void follow(const std::string& target);

private:
    Limits left_;
    Limits limits_;
};

}  // namespace convert
