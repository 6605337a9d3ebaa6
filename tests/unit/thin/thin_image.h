// A full image of random bytes with its table, and a server of it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/temporary_folder.h"
#include "canned_server.h"
#include "thin/block_cache.h"

namespace thin_test {

inline std::vector<std::byte> random_bytes(size_t size, unsigned seed = 1) {
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes)
        byte = static_cast<std::byte>(random());
    return bytes;
}

inline gvmi::ThinTable table_of(std::span<const std::byte> image, std::vector<std::string> urls) {
    gvmi::ThinTable table;
    table.size = image.size();
    table.sha3 = std::string(56, '0');
    table.urls = std::move(urls);
    for (uint64_t block = 0; block < gvmi::thin_blocks(image.size()); block++)
        table.hashes.push_back(thin::hash_of(image.subspan(block * gvmi::kThinBlock, table.block_bytes(block))));
    return table;
}

// The range that a request's head asks for: first byte and size.
inline std::pair<uint64_t, uint64_t> range_in(const std::string& head) {
    const size_t at = head.find("Range: bytes=") + 13;
    const uint64_t first = std::strtoull(head.c_str() + at, nullptr, 10);
    const uint64_t last = std::strtoull(head.c_str() + head.find('-', at) + 1, nullptr, 10);
    return {first, last - first + 1};
}

// The right answer to it.
inline std::string partial(std::span<const std::byte> image, const std::string& head) {
    const auto [first, size] = range_in(head);
    const auto part = image.subspan(first, size);
    const std::string range = "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(first + size - 1) + "/" +
                              std::to_string(image.size()) + "\r\n";
    return http_test::answer({reinterpret_cast<const char*>(part.data()), part.size()}, range, "206 Partial Content");
}

inline std::function<void(const std::string&, int)> serving(std::span<const std::byte> image) {
    return [image](const std::string& head, int fd) { http_test::put(fd, partial(image, head)); };
}

}  // namespace thin_test
