#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "registry/server/file_storage.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {

inline std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
}

// An image of `text`, in chunks of so many bytes.
struct TestImage {
    explicit TestImage(const std::string& text, uint64_t chunk_size = 4);
    Descriptor descriptor;
    std::string bytes;  // of the descriptor
    std::string id;
    std::vector<std::string> chunks;  // their contents
};

// A registry's storage and metadata in a folder of their own.
class Registry : public testing::Test {
protected:
    Registry();
    ~Registry() override { std::filesystem::remove_all(folder_); }

    void store(const std::string& chunk);
    void add(const TestImage& image, State state, Time now = 1000);
    static void wait_until(const std::function<bool()>& condition);

    std::filesystem::path folder_;
    FileStorage storage_;
    SqliteMetadata metadata_;
};

}  // namespace registry::server
