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

// A MiB took the library's parser with a callback 38 s; a test that takes so long has failed.
TEST(Json, ReadsManySmallObjectsInLinearTime) {
    std::string text = "[{\"\":0}";
    while (text.size() < size_t{800} << 10)
        text += ",{\"\":0}";
    EXPECT_GT(base::parse_json(text + "]").size(), 100'000U);
}

TEST(Json, RefusesTooManyValues) {
    const auto list = [](size_t values) {
        std::string text = "[0";
        for (size_t i = 1; i < values; i++)
            text += ",0";
        return text + "]";
    };
    EXPECT_EQ(base::parse_json(list(249'999)).size(), 249'999U);
    EXPECT_THAT([&] { base::parse_json(list(250'000)); }, ThrowsMessage<base::Error>("JSON of more than 250,000 values"));
}

TEST(Json, WritesUtf8Only) {
    EXPECT_THROW(base::to_text(nlohmann::json("\xff")), base::Error);
}

}  // namespace
