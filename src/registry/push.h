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
    unsigned workers = 4;                // chunks sent at once
    std::optional<Reference> name = {};  // with `login`; without it the upload is anonymous
    std::optional<Login> login = {};
    bool make_private = false;    // the name's repository, before anything is sent
    std::chrono::seconds ttl{0};  // after which the registry removes the name, or what it did not have and nobody names; 0: it decides
    http::Options connection = {};
    std::chrono::seconds verified{120};  // how long the registry may take to verify an image whose chunks it has
    std::function<void(const std::string&)> say = [](const std::string&) {};
    // Gets the bytes that the registry has, and in all; may throw, which ends the push. A later push resumes it.
    std::function<void(uint64_t done, uint64_t total)> progress = [](uint64_t, uint64_t) {};
};

struct PushSummary {
    uint64_t sent_bytes = 0;  // of chunks; 0 where the registry had them all
    size_t sent_chunks = 0;
    std::string expires = {};  // when the registry removes it, where it says so
};

// Pushes an image. Chunks that the registry has already are not sent again, however an earlier push ended. The name is checked before a
// byte is sent, and each chunk is compared with its descriptor. Returns once the registry has verified the image and the name is set.
// Throws base::Error.
PushSummary push_image(const DescribedImage& image, const PushOptions& options);

}  // namespace registry
