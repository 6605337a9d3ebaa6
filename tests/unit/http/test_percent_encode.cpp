#include "http/percent_encode.h"

#include <gtest/gtest.h>

namespace {

TEST(PercentEncode, KeepsOnlyWhatNeedsNoEscape) {
    EXPECT_EQ(http::percent_encode("aZ0-_.~/b c&d=%"), "aZ0-_.~%2Fb%20c%26d%3D%25");
    EXPECT_EQ(http::percent_encode("ü"), "%C3%BC");
    EXPECT_EQ(http::percent_encode(std::string_view("\0\xff", 2)), "%00%FF");
}

TEST(PercentEncode, KeepsWhatTheCallerNames) {
    EXPECT_EQ(http::percent_encode("library/debian:12@sha256?x", "/:@"), "library/debian:12@sha256%3Fx");
}

}  // namespace
