// Folder oci: where container images come from, one file per source: docker archives, OCI layouts and archives, root file systems, a local
// engine, registries, Dockerfiles. The kind of a reference is detected. All input comes from strangers: it is bounded, and checked against
// its digests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "oci/entries.h"
#include "oci/stream.h"

namespace oci {

struct Layer {
    std::string name;                      // for messages: "layer 3 (sha256:1f…)"
    std::string diff_id;                   // the SHA-256 of the plain tar, 64 hex digits
    std::string digest;                    // the SHA-256 of the blob; empty where it is unknown
    uint64_t size = 0;                     // of the blob, in bytes
    std::function<StreamPtr()> open_blob;  // the blob as it is stored; several threads may call it
    uint64_t limit = kDefaultLimit;        // bytes that the blob may unpack to
    // Bytes that this layer and those with the same counter may still unpack to, whenever they are read; null: any number. Many layers can
    // be one blob.
    std::shared_ptr<uint64_t> left = nullptr;
    // Used instead, for a layer that is no tar.
    std::function<std::unique_ptr<Entries>()> open_entries = {};
};

struct Image {
    std::string name;           // repository, without docker.io/ and library/; else the file's name
    std::string tag;            // "latest" where there is none
    std::string id;             // the SHA-256 of the configuration, 64 hex digits
    nlohmann::json config;      // the image's whole configuration: an object; its "config" is the container's
    std::vector<Layer> layers;  // the base first
};

// The layer's uncompressed tar. At its end digest and diff_id are checked, as far as they are known.
StreamPtr open_layer(const Layer& layer);
// Like open_layer, without checks, for data that is checked elsewhere.
StreamPtr open_unchecked_layer(const Layer& layer);

// Whether the layer's blob is an uncompressed tar.
bool is_plain_tar(const Layer& layer);
// Like open_layer, for a blob that is one. The bytes do not count for the layer's `left`, so that another thread may read the layer too.
StreamPtr open_plain_tar(const Layer& layer);

// The layer's entries, checked in the same way.
std::unique_ptr<Entries> read_layer(const Layer& layer);
std::unique_ptr<Entries> read_unchecked_layer(const Layer& layer);

struct OpenOptions {
    std::string platform = "linux/amd64";
    uint64_t limit = kDefaultLimit;  // bytes that an archive, or a layer, may unpack to
    // Reports how much of a pull is done, and of how much, at least five times a second, so that it can also stop the pull by an exception.
    std::function<void(uint64_t done, uint64_t total)> progress = {};
};

// Opens an image. `reference` is a file or a folder (a docker archive, an OCI archive or layout, or a root file system: a folder or a flat
// tar), or one with docker-archive:, oci-archive:, oci: or rootfs: in front; ":NAME" at its end chooses one of several images. Or it is
// docker-daemon:NAME or docker://NAME; or a bare name, which is looked up in a local engine (engine.h), then in a registry (registry.h).
// Throws base::Error.
Image open_image(const std::string& reference, const OpenOptions& options = {});

}  // namespace oci
