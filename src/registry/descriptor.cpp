#include "registry/descriptor.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

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

std::string to_hex(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte b : bytes) {
        text += digits[static_cast<size_t>(b) >> 4];
        text += digits[static_cast<size_t>(b) & 15];
    }
    return text;
}

void append_bytes(std::string& out, std::string_view hex, size_t size) {
    if (!is_hex(hex, size * 2)) throw base::Error("a hash is not " + std::to_string(size * 2) + " hex digits");
    const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    for (size_t i = 0; i < hex.size(); i += 2)
        out += static_cast<char>(value(hex[i]) << 4 | value(hex[i + 1]));
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
    descriptor.sha3 = to_hex(bytes.subspan(3 * kNumberBytes, kSha3Bytes));
    for (size_t offset = 0; offset < hashes.size(); offset += kSha256Bytes)
        descriptor.chunks.push_back(to_hex(hashes.subspan(offset, kSha256Bytes)));
    check_sizes(descriptor.size, descriptor.chunk_size, descriptor.chunks.size());
    return descriptor;
}

std::string serialize(const Descriptor& descriptor) {
    check_sizes(descriptor.size, descriptor.chunk_size, descriptor.chunks.size());
    std::string out;
    append_number(out, kDescriptorVersion);
    append_number(out, descriptor.size);
    append_number(out, descriptor.chunk_size);
    append_bytes(out, descriptor.sha3, kSha3Bytes);
    for (const std::string& chunk : descriptor.chunks)
        append_bytes(out, chunk, kSha256Bytes);
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
    std::string bytes;
    append_bytes(bytes, sha256, kSha256Bytes);
    return bytes;
}

bool is_hex(std::string_view text, size_t digits) {
    return text.size() == digits &&
           std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace registry
