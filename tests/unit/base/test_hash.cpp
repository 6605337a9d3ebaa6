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

// RFC 4231, test cases 2 and 6.
TEST(Hmac, IsThatOfTheRfc) {
    EXPECT_EQ(base::hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(base::hmac_sha256_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
