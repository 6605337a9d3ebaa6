#include "registry/descriptor.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"

namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

registry::Descriptor example(size_t chunks) {
    registry::Descriptor descriptor;
    descriptor.chunk_size = 1000;
    descriptor.size = chunks * 1000 - 1;
    descriptor.sha3 = "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf";
    descriptor.chunks.assign(chunks, std::string(63, 'a') + "0");
    return descriptor;
}

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
}

auto refused(std::string text, const char* reason) {
    EXPECT_THAT([&text] { registry::parse_descriptor(bytes(text)); }, ThrowsMessage<base::Error>(HasSubstr(reason)));
}

TEST(Descriptor, HasTheFormatsBytes) {
    const std::string text = registry::serialize(example(2));
    ASSERT_EQ(text.size(), 24u + 28 + 2 * 32);
    EXPECT_EQ(text.substr(0, 24), std::string("\0\0\0\3\x33\x33\x33\x34\0\0\0\0\0\0\x7\xcf\0\0\0\0\0\0\x3\xe8", 24));
    EXPECT_EQ(text.substr(24, 2), "\xe6\x42");
    EXPECT_EQ(text.substr(52, 2), "\xaa\xaa");
    EXPECT_EQ(text.back(), '\xa0');
}

TEST(Descriptor, RoundTrip) {
    const registry::Descriptor in = example(registry::kMaxChunks);
    const registry::Descriptor out = registry::parse_descriptor(bytes(registry::serialize(in)));
    EXPECT_EQ(out.size, in.size);
    EXPECT_EQ(out.chunk_size, in.chunk_size);
    EXPECT_EQ(out.sha3, in.sha3);
    EXPECT_EQ(out.chunks, in.chunks);
    EXPECT_EQ(out.chunk_length(0), 1000u);
    EXPECT_EQ(out.chunk_length(999), 999u);
}

TEST(Descriptor, RefusesWhatDoesNotFit) {
    const std::string good = registry::serialize(example(2));
    refused("", "ends within its first 52 bytes");
    refused(good.substr(0, 51), "ends within its first 52 bytes");
    refused(good.substr(0, 70), "ends within a chunk's hash");
    refused(good.substr(0, 52 + 32), "1 chunk hashes where the sizes ask for 2");
    refused(good + std::string(32, 'x'), "3 chunk hashes where the sizes ask for 2");
    refused(good + std::string(32'000, 'x'), "longer than");
    refused(std::string(8, '\0') + good.substr(8), "unknown version");
    refused(good.substr(0, 8) + std::string(8, '\0') + good.substr(16), "empty");
    refused(good.substr(0, 16) + std::string(8, '\0') + good.substr(24), "chunk size is 0");
    refused(good.substr(0, 8) + std::string(8, '\xff') + good.substr(16), "at most 1000");
    refused(good.substr(0, 16) + std::string(8, '\xff') + good.substr(24), "2 chunk hashes where the sizes ask for 1");
    EXPECT_THROW(registry::serialize(example(registry::kMaxChunks + 1)), base::Error);
}

TEST(ChunkSize, GrowsWithTheImage) {
    constexpr uint64_t kMiB = 1 << 20;
    EXPECT_EQ(registry::chunk_size_for(1), 2 * kMiB);
    EXPECT_EQ(registry::chunk_size_for(200 * kMiB), 2 * kMiB);
    EXPECT_EQ(registry::chunk_size_for(200 * kMiB + 1), 5 * kMiB);
    EXPECT_EQ(registry::chunk_size_for(500 * kMiB + 1), 10 * kMiB);
    EXPECT_EQ(registry::chunk_size_for(1024 * kMiB + 1), 20 * kMiB);
    EXPECT_EQ(registry::chunk_size_for(2048 * kMiB + 1), 50 * kMiB);
    EXPECT_EQ(registry::chunk_size_for(5120 * kMiB + 1), 100 * kMiB);
    EXPECT_EQ(registry::chunk_size_for(200000 * kMiB), 200 * kMiB);
}

TEST(Hex, IsLowerCaseAndOfItsLength) {
    EXPECT_TRUE(base::is_hex("0123456789abcdef", 16));
    EXPECT_FALSE(base::is_hex("0123456789abcdeF", 16));
    EXPECT_FALSE(base::is_hex("0123456789abcde", 16));
    EXPECT_FALSE(base::is_hex("../3456789abcdef", 16));
}

}  // namespace
