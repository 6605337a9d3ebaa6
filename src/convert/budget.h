#pragma once

#include <cstdint>

#include "oci/entries.h"

namespace convert {

// What an image may cost, over all of its layers. Each bounds memory, disk or time of a conversion of a stranger's image.
struct Limits {
    uint64_t data_bytes = uint64_t{64} << 30;       // of files, their holes included
    uint64_t entries = 2'000'000;                   // some 500 bytes of memory each
    uint64_t name_bytes = uint64_t{512} << 20;      // of paths and link targets
    uint64_t attribute_bytes = uint64_t{64} << 20;  // names and values
};

// Counts entries against the limits.
class Budget {
public:
    explicit Budget(const Limits& limits) : left_(limits), limits_(limits) {}

    // Throws base::Error that names the limit.
    void take(const oci::TarEntry& entry);

private:
    Limits left_;
    Limits limits_;
};

}  // namespace convert
