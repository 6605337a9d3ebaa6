#include "registry/describe.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Describe : public testing::Test {
protected:
    Describe() {
        std::string pattern = (fs::temp_directory_path() / "gvmkit-describe.XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
        image = folder / "a.gvmi";
        write(std::string(10000, 'a'));
    }
    ~Describe() override { fs::remove_all(folder); }

    void write(const std::string& content) const { std::ofstream(image, std::ios::binary) << content; }
    void set_time(const fs::path& path, time_t time) const {
        const timespec times[2] = {{time, 0}, {time, 0}};
        ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    }
    registry::DescribedImage describe(uint64_t chunk_size = 4096) {
        said.clear();
        return registry::load_or_compute_descriptor(
            image, chunk_size, [this](const std::string& line) { said.push_back(line); }, [](uint64_t, uint64_t) {});
    }

    fs::path folder;
    fs::path image;
    std::vector<std::string> said;
};

TEST_F(Describe, TheDescriptorIsWrittenBesideTheImage) {
    const auto described = describe();
    EXPECT_EQ(described.descriptor_path, image.string() + ".descr.bin");
    EXPECT_EQ(described.descriptor.size, 10000U);
    ASSERT_EQ(described.descriptor.chunks.size(), 3U);
    const std::string chunk(4096, 'a');
    EXPECT_EQ(described.descriptor.chunks[0], base::sha256_hex(std::as_bytes(std::span(chunk))));
    EXPECT_EQ(described.descriptor.chunks[2], base::sha256_hex(std::as_bytes(std::span(chunk).first(10000 - 8192))));
    const std::string bytes = base::read_file(described.descriptor_path, 10000);
    EXPECT_EQ(bytes, serialize(described.descriptor));
    EXPECT_EQ(described.descriptor_hash, base::sha256_hex(std::as_bytes(std::span(bytes))));
    EXPECT_THAT(
        said, ElementsAre(" * Writing file descriptor to " + described.descriptor_path.string(), " -- file descriptor created successfully",
                          " -- image link (for use in SDK): " + described.descriptor.sha3));
}

TEST_F(Describe, ThatWhichIsKnownIsWritten) {
    const base::UniqueFd fd = base::open_file(image, O_RDONLY);
    uint64_t last = 0;
    const registry::Descriptor known = registry::compute_descriptor(fd.get(), image, 4096, [&last](uint64_t done, uint64_t size) {
        EXPECT_EQ(size, 10000U);
        last = done;
    });
    EXPECT_EQ(last, 10000U);
    const auto silent = [](const std::string&) {};
    const auto not_again = [](uint64_t, uint64_t) { ADD_FAILURE() << "it is hashed again"; };
    (void)registry::load_or_compute_descriptor(image, 4096, silent, not_again, known);
    const std::string bytes = base::read_file(image.string() + ".descr.bin", 10000);
    fs::remove(image.string() + ".descr.bin");
    EXPECT_EQ(bytes, serialize(describe().descriptor));
    EXPECT_THROW((void)registry::compute_descriptor(fd.get(), image, 0, [](uint64_t, uint64_t) { throw base::Error("interrupted"); }),
                 base::Error);
}

TEST_F(Describe, ItIsUsedAgainWhileItFits) {
    const std::string sha3 = describe().descriptor.sha3;
    EXPECT_EQ(describe().descriptor.sha3, sha3);
    EXPECT_THAT(said, ElementsAre(" -- file descriptor already exists and is newer", "Image link (for use in SDK): " + sha3));
    EXPECT_EQ(describe(8192).descriptor.chunks.size(), 2U);
    EXPECT_EQ(said.at(0), " -- chunk size changed, recreating file descriptor");
}

TEST_F(Describe, AnOlderOneIsMadeAnew) {
    const auto before = describe();
    write(std::string(10000, 'b'));
    set_time(before.descriptor_path, 1000);
    set_time(image, 1001);
    EXPECT_NE(describe().descriptor.sha3, before.descriptor.sha3);
    EXPECT_EQ(said.at(0), " -- File descriptor is older than image, recreating");
}

TEST_F(Describe, ADamagedOneOrAnotherImagesIsMadeAnew) {
    const auto before = describe();
    std::ofstream(before.descriptor_path) << "noise";
    EXPECT_EQ(describe().descriptor.sha3, before.descriptor.sha3);
    EXPECT_THAT(said.at(0), HasSubstr(" -- failed to deserialize file descriptor: "));
    write(std::string(9999, 'a'));
    set_time(image, 1000);
    EXPECT_EQ(describe().descriptor.size, 9999U);
    EXPECT_EQ(said.at(0), " -- image size changed, recreating file descriptor");
}

TEST_F(Describe, WhatCannotBeAnImageIsRefused) {
    write("");
    EXPECT_THROW((void)describe(), base::Error);
    EXPECT_FALSE(fs::exists(image.string() + ".descr.bin"));
    write(std::string(2000, 'a'));
    EXPECT_THROW((void)describe(1), base::Error);
    image = folder;
    EXPECT_THROW((void)describe(), base::Error);
    image = folder / "missing";
    EXPECT_THROW((void)describe(), base::Error);
}

}  // namespace
