#include "base/hash.h"

#include <gtest/gtest.h>

#include <string_view>

namespace {

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
}

TEST(Crc32, IsZlibs) {
    EXPECT_EQ(base::crc32(bytes("123456789")), 0xCBF43926u);
}

TEST(Hasher, KnowsTheStandardsExamples) {
    EXPECT_EQ(base::sha256_hex(bytes("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    base::Hasher sha3(base::Hasher::Kind::sha3_224);
    sha3.update(bytes("a"));
    sha3.update(bytes("bc"));
    EXPECT_EQ(sha3.hex(), "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf");
}

}  // namespace
