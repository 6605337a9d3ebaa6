#include "registry/descriptor.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/hex.h"

namespace registry {
namespace {

constexpr size_t kNumberBytes = 8;
constexpr size_t kSha3Bytes = 28;
constexpr size_t kSha256Bytes = 32;
constexpr size_t kHeaderBytes = 3 * kNumberBytes + kSha3Bytes;

uint64_t number_at(std::span<const std::byte> bytes, size_t offset) {
    uint64_t value = 0;
    for (const std::byte b : bytes.subspan(offset, kNumberBytes))
        value = value << 8 | static_cast<uint64_t>(b);
    return value;
}

void append_number(std::string& out, uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8)
        out += static_cast<char>(value >> shift & 0xff);
}

void check_sizes(uint64_t size, uint64_t chunk_size, size_t chunks) {
    if (size == 0) throw base::Error("bad descriptor: the image is empty");
    if (chunk_size == 0) throw base::Error("bad descriptor: the chunk size is 0");
    const uint64_t expected = (size - 1) / chunk_size + 1;  // never size + chunk_size, which may overflow
    if (expected > kMaxChunks)
        throw base::Error("bad descriptor: " + std::to_string(expected) + " chunks, at most " + std::to_string(kMaxChunks) +
                          " are allowed");
    if (expected != chunks)
        throw base::Error("bad descriptor: " + std::to_string(chunks) + " chunk hashes where the sizes ask for " +
                          std::to_string(expected));
}

}  // namespace

uint64_t Descriptor::chunk_length(size_t number) const {
    return std::min(chunk_size, size - number * chunk_size);
}

Descriptor parse_descriptor(std::span<const std::byte> bytes) {
    if (bytes.size() > kMaxDescriptorBytes)
        throw base::Error("bad descriptor: longer than " + std::to_string(kMaxDescriptorBytes) + " bytes");
    if (bytes.size() < kHeaderBytes)
        throw base::Error("bad descriptor: it ends within its first " + std::to_string(kHeaderBytes) + " bytes");
    if (number_at(bytes, 0) != kDescriptorVersion) throw base::Error("bad descriptor: of an unknown version");
    const auto hashes = bytes.subspan(kHeaderBytes);
    if (hashes.size() % kSha256Bytes != 0) throw base::Error("bad descriptor: it ends within a chunk's hash");

    Descriptor descriptor;
    descriptor.size = number_at(bytes, kNumberBytes);
    descriptor.chunk_size = number_at(bytes, 2 * kNumberBytes);
    descriptor.sha3 = base::to_hex(bytes.subspan(3 * kNumberBytes, kSha3Bytes));
    for (size_t offset = 0; offset < hashes.size(); offset += kSha256Bytes)
        descriptor.chunks.push_back(base::to_hex(hashes.subspan(offset, kSha256Bytes)));
    check_sizes(descriptor.size, descriptor.chunk_size, descriptor.chunks.size());
    return descriptor;
}

std::string serialize(const Descriptor& descriptor) {
    check_sizes(descriptor.size, descriptor.chunk_size, descriptor.chunks.size());
    std::string out;
    append_number(out, kDescriptorVersion);
    append_number(out, descriptor.size);
    append_number(out, descriptor.chunk_size);
    out += base::from_hex(descriptor.sha3, kSha3Bytes);
    for (const std::string& chunk : descriptor.chunks)
        out += base::from_hex(chunk, kSha256Bytes);
    return out;
}

uint64_t chunk_size_for(uint64_t image_size) {
    constexpr uint64_t kMiB = 1 << 20;
    constexpr struct {
        uint64_t above, chunk_size;
    } steps[] = {
        {5120 * kMiB, 100 * kMiB}, {2048 * kMiB, 50 * kMiB}, {1024 * kMiB, 20 * kMiB}, {500 * kMiB, 10 * kMiB}, {200 * kMiB, 5 * kMiB}};
    uint64_t chunk_size = 2 * kMiB;
    for (const auto& step : steps) {
        if (image_size <= step.above) continue;
        chunk_size = step.chunk_size;
        break;
    }
    while (chunk_size * kMaxChunks < image_size)
        chunk_size *= 2;
    return chunk_size;
}

std::string from_hex(std::string_view sha256) {
    return base::from_hex(sha256, kSha256Bytes);
}

}  // namespace registry
