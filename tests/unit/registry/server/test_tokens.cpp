#include "registry/server/tokens.h"

#include <gtest/gtest.h>

namespace registry::server {
namespace {

TEST(Tokens, AreLongAndNeverTheSame) {
    const std::string token = new_token();
    EXPECT_EQ(token.size(), 7u + 64);
    EXPECT_NE(token, new_token());
    EXPECT_EQ(token_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace registry::server
