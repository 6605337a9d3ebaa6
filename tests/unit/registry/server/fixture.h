#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "registry/server/errors.h"
#include "registry/server/file_storage.h"
#include "registry/server/metadata.h"

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

// The status of the HttpError that f throws, 200 where it throws none.
template <typename F>
unsigned status_of(F f) {
    try {
        f();
    } catch (const HttpError& e) {
        return e.status();
    }
    return http::kOk;
}

// The URL of an empty PostgreSQL data base. The first call starts a PostgreSQL, which ends with the program.
std::string new_postgres();

// A registry's storage and metadata of their own.
class Registry : public testing::Test {
protected:
    explicit Registry(const std::string& data_base = "SQLite");  // or "PostgreSQL"
    ~Registry() override { std::filesystem::remove_all(folder_); }

    void store(const std::string& chunk);
    void add(const TestImage& image, State state, Time now = 1000);
    static void wait_until(const std::function<bool()>& condition);

    // As another server or program on the same data has it.
    std::unique_ptr<Metadata> open_again() const;

    std::filesystem::path folder_;
    std::string db_;  // empty: SQLite
    FileStorage storage_;
    std::unique_ptr<Metadata> opened_;
    Metadata& metadata_;
};

// For tests (TEST_P) that hold with each data base.
class RegistryOnEach : public testing::WithParamInterface<const char*>, public Registry {
protected:
    RegistryOnEach() : Registry(GetParam()) {}
};

#define WITH_EACH_DATA_BASE(TEST_CLASS)                                                 \
    INSTANTIATE_TEST_SUITE_P(With, TEST_CLASS, testing::Values("SQLite", "PostgreSQL"), \
                             [](const auto& test) { return std::string(test.param); })

}  // namespace registry::server
