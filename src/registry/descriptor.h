// Folder registry: images on the network (docs/spec/registry.md): the upload descriptor, the client that pushes, pulls and resolves.
// server/ is the registry itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace registry {

constexpr uint64_t kDescriptorVersion = 0x0000000333333334;  // the format's magic and version in one
constexpr size_t kMaxChunks = 1000;

// The upload descriptor of an image. `<image>.descr.bin` holds its bytes, whose SHA-256 names the upload.
struct Descriptor {
    uint64_t size = 0;                // of the image, bytes
    uint64_t chunk_size = 0;          // bytes; the last chunk may be shorter
    std::string sha3;                 // SHA3-224 of the image, 56 lower-case hex digits
    std::vector<std::string> chunks;  // SHA-256 of each chunk in order, 64 lower-case hex digits each

    // The bytes of chunk `number` begin at number * chunk_size.
    uint64_t chunk_length(size_t number) const;
};

// The length in bytes of the longest descriptor.
constexpr size_t kMaxDescriptorBytes = 3 * 8 + 28 + kMaxChunks * 32;

// Parses a stranger's descriptor. Throws base::Error for another version, an empty image, more than kMaxChunks chunks, or a number of
// chunks that does not fit the sizes.
Descriptor parse_descriptor(std::span<const std::byte> bytes);

// The descriptor's bytes. Throws base::Error where parse_descriptor would.
std::string serialize(const Descriptor& descriptor);

// The chunk size that uploaders choose for an image of that many bytes (docs/spec/registry.md), doubled where it would give more than
// kMaxChunks.
uint64_t chunk_size_for(uint64_t image_size);

// The bytes of a SHA-256 in hex. Throws base::Error where it is none.
std::string from_hex(std::string_view sha256);

}  // namespace registry
