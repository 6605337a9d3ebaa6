#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Json, RoundTrip) {
    EXPECT_EQ(base::to_text(base::parse_json(R"( {"b": [1, "x", null], "a": {}} )")), R"({"a":{},"b":[1,"x",null]})");
}

TEST(Json, SaysWhereItIsWrong) {
    EXPECT_THAT([] { base::parse_json("{\"a\":\n"); }, ThrowsMessage<base::Error>(HasSubstr("not JSON: parse error at line 2")));
    EXPECT_THROW(base::parse_json(""), base::Error);
    EXPECT_THROW(base::parse_json("{} x"), base::Error);
    EXPECT_THROW(base::parse_json("[\"\xff\"]"), base::Error);
    EXPECT_THROW(base::parse_json("[1e999]"), base::Error);
}

TEST(Json, RefusesDeepNesting) {
    EXPECT_NO_THROW(base::parse_json(std::string(100, '[') + std::string(100, ']')));
    EXPECT_THAT([] { base::parse_json(std::string(1000000, '[')); }, ThrowsMessage<base::Error>(HasSubstr("nested too deep")));
}

TEST(Json, WritesUtf8Only) {
    EXPECT_THROW(base::to_text(nlohmann::json("\xff")), base::Error);
}

}  // namespace
