#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "registry/server/metadata.h"
#include "registry/server/storage.h"

namespace registry::server {

struct Collected {
    uint64_t uploads = 0;  // without a tag, and old
    uint64_t chunks = 0;   // in no upload any more
    uint64_t bytes = 0;    // theirs
};

// Removes uploads without a tag not younger than `before` and the chunks that no upload has. May run while a server does.
Collected collect_garbage(Metadata& metadata, Storage& storage, Time before);

struct CheckOptions {
    bool read = true;     // read every chunk and image, not only look whether they are there
    bool repair = false;  // remove broken chunks, and let their images be uploaded again
};

// Looks for what is wrong and calls `problem` for each. Chunks that no upload has are none: collect_garbage removes them.
void check_registry(Metadata& metadata, Storage& storage, const CheckOptions& options,
                    const std::function<void(const std::string&)>& problem);

}  // namespace registry::server
