#include "base/hex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using testing::StrEq;
using testing::ThrowsMessage;

const std::string kBytes("\x00\x0f\x9a\xff", 4);

TEST(Hex, IsWrittenInLowerCase) {
    EXPECT_EQ(base::to_hex(std::as_bytes(std::span(kBytes))), "000f9aff");
    EXPECT_EQ(base::to_hex({}), "");
}

TEST(Hex, IsReadAgain) {
    EXPECT_EQ(base::from_hex("000f9aff", 4), kBytes);
}

TEST(Hex, RefusesOtherTexts) {
    for (const char* text : {"", "000f9af", "000f9aff0", "000F9AFF", "000f9afg", "000f9a:f", "000f9a f"}) {
        EXPECT_FALSE(base::is_hex(text, 8)) << text;
        EXPECT_THAT([text] { (void)base::from_hex(text, 4); }, ThrowsMessage<base::Error>(StrEq("a hash is not 8 hex digits"))) << text;
    }
    EXPECT_TRUE(base::is_hex("000f9aff", 8));
}

}  // namespace
