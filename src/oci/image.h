// Folder oci: where container images come from: docker archives, OCI layouts and archives, told apart by what is in them. Whatever comes in
// is a stranger's: it is bounded, and checked against its digests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "oci/stream.h"

namespace oci {

struct Layer {
    std::string name;                      // for messages: "layer 3 (sha256:1f…)"
    std::string diff_id;                   // the SHA-256 of the plain tar, 64 hex digits
    std::string digest;                    // the SHA-256 of the blob; empty where it is not told
    uint64_t size = 0;                     // of the blob, in bytes
    std::function<StreamPtr()> open_blob;  // the blob as it is stored
};

struct Image {
    std::string name;           // repository, without docker.io/ and library/; else the file's name
    std::string tag;            // "latest" where there is none
    std::string id;             // the SHA-256 of the configuration, 64 hex digits
    nlohmann::json config;      // the image's whole configuration: an object; its "config" is the container's
    std::vector<Layer> layers;  // the base first
};

// The layer's plain tar. At its end digest and diff_id are checked.
StreamPtr open_layer(const Layer& layer);
// The same without checks, for what was checked before.
StreamPtr open_checked_layer(const Layer& layer);

// Opens an image for linux/amd64. `reference` is a file or a folder, or one with docker-archive:, oci-archive: or oci: in front. Where
// several images are in it, ":NAME" behind it says which. Throws base::Error.
Image open_image(const std::string& reference);

}  // namespace oci
