#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "http/client.h"
#include "registry/describe.h"
#include "registry/reference.h"
#include "registry/settings.h"

namespace registry {

struct PushOptions {
    std::string url;                     // of the registry
    unsigned workers = 4;                // chunks that are sent at once
    std::optional<Reference> name = {};  // with `login`; without it the upload is anonymous
    std::optional<Login> login = {};
    http::Options connection = {};
    std::chrono::seconds verified{120};  // what the registry may take to verify an image whose chunks it has
    std::function<void(const std::string&)> say = [](const std::string&) {};
    // Bytes that the registry has, and in all; may throw, which ends the push. It can be gone on with later.
    std::function<void(uint64_t done, uint64_t total)> progress = [](uint64_t, uint64_t) {};
};

struct PushSummary {
    uint64_t sent_bytes = 0;  // of chunks; 0 where the registry had them all
    size_t sent_chunks = 0;
};

// Brings an image into a registry: what it has already is not sent again, however an earlier push ended. Before a byte is sent the name is
// tried. Each chunk is compared with its descriptor first. Returns once the registry has verified the image and the name is set. Throws
// base::Error.
PushSummary push_image(const DescribedImage& image, const PushOptions& options);

}  // namespace registry
