#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "registry/server/event.h"
#include "registry/server/metadata.h"
#include "registry/server/storage.h"

namespace registry::server {

// Removes the tags whose time is over, or those that no rule keeps, and tells of each; returns how many.
uint64_t remove_old_tags(Metadata& metadata, Age age, Time now, const Tell& tell);
// Removes the uploads whose time is over; returns how many.
uint64_t remove_expired_uploads(Metadata& metadata, Time now);

struct Collected {
    uint64_t uploads = 0;  // without a tag, and old
    uint64_t chunks = 0;   // no longer in any upload
    uint64_t bytes = 0;    // the chunks' bytes
    uint64_t objects = 0;  // of images (ImageObjects), to which no client is sent
};

// Removes uploads without a tag that are older than `before`, and the chunks that no upload has: it looks for them, waits for `grace`, and
// removes those that no upload has then, while none can be added. Objects of images go that are useless, that no row knows, or to which
// nobody was sent for a week. May run beside servers and beside itself. `stop` ends it early.
Collected collect_garbage(Metadata& metadata, Storage& storage, Time before, std::chrono::seconds grace = {},
                          const std::stop_token& stop = {});

// Removes the objects that are useless (Metadata::useless_composed), with their rows; returns how many.
uint64_t remove_useless_objects(Metadata& metadata, ImageObjects& objects, Time now);

// Waits; returns false where `stop` has ended it.
bool wait_for(std::chrono::seconds time, const std::stop_token& stop);

// What is wrong with a stored chunk, which is read for it.
std::optional<std::string> chunk_problem(const Storage& storage, const std::string& sha256);

struct CheckOptions {
    bool read = true;     // read every chunk and image, and not only look whether they exist
    bool repair = false;  // remove broken chunks, so that their images can be uploaded again
    // Gets what is stored and belongs to no upload, which is no defect: collect_garbage removes the chunks among it.
    std::function<void(const std::string&)> note = {};
};

// Calls `problem` for each defect.
void check_registry(Metadata& metadata, Storage& storage, const CheckOptions& options,
                    const std::function<void(const std::string&)>& problem);

}  // namespace registry::server
