#include "gvmi/compression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kBlock = 128 * 1024;
constexpr gvmi::Method kMethods[] = {gvmi::Method::gzip, gvmi::Method::lzo, gvmi::Method::xz, gvmi::Method::lz4, gvmi::Method::zstd};

std::vector<std::byte> text(size_t size) {
    std::string content;
    for (int i = 0; content.size() < size; i++)
        content += "line " + std::to_string(i * 7919) + "\n";
    const auto bytes = std::as_bytes(std::span(content));
    return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

std::vector<std::byte> noise(size_t size) {
    std::mt19937 random(1);
    std::vector<std::byte> bytes(size);
    std::generate(bytes.begin(), bytes.end(), [&random] { return static_cast<std::byte>(random()); });
    return bytes;
}

std::vector<std::byte> compressed(const gvmi::Compression& compression, const std::vector<std::byte>& plain) {
    const auto encoder = gvmi::make_encoder(compression, kBlock);
    std::vector<std::byte> out(plain.size() - 1);
    const auto size = encoder->code(plain, out);
    out.resize(size.value_or(0));
    return out;
}

class Compression : public testing::TestWithParam<gvmi::Method> {};

INSTANTIATE_TEST_SUITE_P(Methods, Compression, testing::ValuesIn(kMethods),
                         [](const auto& info) { return std::string(gvmi::name_of(info.param)); });

TEST_P(Compression, GivesBackWhatItTook) {
    const gvmi::Levels levels = gvmi::levels_of(GetParam());
    for (const size_t size : {size_t{1000}, size_t{kBlock}}) {
        for (const int level : {levels.highest == 0 ? 0 : 1, levels.standard, levels.highest}) {
            const std::vector<std::byte> plain = text(size);
            const std::vector<std::byte> small = compressed({GetParam(), level}, plain);
            ASSERT_FALSE(small.empty());
            EXPECT_LT(small.size(), plain.size());
            std::vector<std::byte> out(kBlock);
            const auto decoder = gvmi::make_decoder(GetParam());
            ASSERT_EQ(decoder->code(small, out), size);
            out.resize(size);
            EXPECT_EQ(out, plain);
        }
    }
}

TEST_P(Compression, SaysWhatDoesNotGetSmaller) {
    EXPECT_TRUE(compressed({GetParam(), gvmi::levels_of(GetParam()).standard}, noise(kBlock)).empty());
}

TEST_P(Compression, NeverWritesBehindTheRoom) {
    const std::vector<std::byte> small = compressed({GetParam(), gvmi::levels_of(GetParam()).standard}, text(kBlock));
    const auto decoder = gvmi::make_decoder(GetParam());
    std::vector<std::byte> out(kBlock / 2);  // the sanitizer watches its end
    EXPECT_EQ(decoder->code(small, out), std::nullopt);
}

TEST_P(Compression, RefusesDamagedBlocks) {
    const auto decoder = gvmi::make_decoder(GetParam());
    std::vector<std::byte> out(kBlock);
    EXPECT_EQ(decoder->code(std::vector<std::byte>(100, std::byte{0xff}), out), std::nullopt);
    const std::vector<std::byte> small = compressed({GetParam(), gvmi::levels_of(GetParam()).standard}, text(kBlock));
    const std::span whole(small);
    EXPECT_NE(decoder->code(whole.first(whole.size() / 2), out), std::optional<size_t>(kBlock));
}

// What a file that was compressed consists of.
std::vector<std::byte> packed(gvmi::Method method) {
    std::mt19937 random(2);
    std::string content;
    while (content.size() < size_t{8} * kBlock)
        content += "word " + std::to_string(random()) + "\n";
    const auto encoder = gvmi::make_encoder({method, gvmi::levels_of(method).standard}, 8 * kBlock);
    std::vector<std::byte> out(content.size());
    out.resize(encoder->code(std::as_bytes(std::span(content)), out).value_or(0));
    EXPECT_GT(out.size(), kBlock);
    out.resize(std::min<size_t>(out.size(), kBlock));
    return out;
}

// This program's own code, behind its headers.
std::vector<std::byte> program() {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    std::vector<char> content(size_t{8} * kBlock);
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
    const auto bytes = std::as_bytes(std::span(content)).last(kBlock);
    return {bytes.begin(), bytes.end()};
}

TEST(LooksIncompressible, IsTrueOfRandomAndOfCompressedData) {
    EXPECT_TRUE(gvmi::looks_incompressible(noise(kBlock)));
    EXPECT_TRUE(gvmi::looks_incompressible(noise(4096)));
    EXPECT_TRUE(gvmi::looks_incompressible(packed(gvmi::Method::gzip)));
    EXPECT_TRUE(gvmi::looks_incompressible(packed(gvmi::Method::xz)));
}

TEST(LooksIncompressible, IsFalseOfWhatGetsSmaller) {
    EXPECT_FALSE(gvmi::looks_incompressible(text(kBlock)));
    EXPECT_FALSE(gvmi::looks_incompressible(program()));
    EXPECT_FALSE(gvmi::looks_incompressible(std::vector<std::byte>(kBlock)));
    std::vector<std::byte> half = noise(kBlock);
    std::fill(half.begin() + kBlock / 2, half.end(), std::byte{0});
    EXPECT_FALSE(gvmi::looks_incompressible(half));
}

TEST(LooksIncompressible, IsFalseOfSmallBlocks) {
    EXPECT_FALSE(gvmi::looks_incompressible({}));
    EXPECT_FALSE(gvmi::looks_incompressible(noise(4095)));
}

TEST_P(Compression, CannotShrinkWhatLooksIncompressible) {
    for (const std::vector<std::byte>& block : {noise(kBlock), packed(gvmi::Method::gzip), packed(gvmi::Method::xz)}) {
        ASSERT_TRUE(gvmi::looks_incompressible(block));
        const std::vector<std::byte> small = compressed({GetParam(), gvmi::levels_of(GetParam()).highest}, block);
        EXPECT_TRUE(small.empty() || small.size() > block.size() / 100 * 98) << small.size();
    }
}

TEST(CompressionNames, AreSquashfss) {
    for (const gvmi::Method method : kMethods) {
        EXPECT_EQ(gvmi::method_by_name(gvmi::name_of(method)), method);
        EXPECT_EQ(gvmi::method_by_number(static_cast<unsigned>(method)), method);
    }
    EXPECT_EQ(gvmi::method_by_name("lzma"), std::nullopt);
    EXPECT_EQ(gvmi::method_by_number(2), std::nullopt);
}

}  // namespace
