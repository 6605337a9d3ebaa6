#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace {

using namespace std::string_view_literals;

TEST(Utf8, FindsTheFirstCharacter) {
    for (const auto& [text, code] : {std::pair<std::string_view, uint32_t>{"ab"sv, 'a'},
                                     {"\0"sv, 0},
                                     {"\xc2\x80"sv, 0x80},
                                     {"é!"sv, 0xe9},
                                     {"\xed\x9f\xbf"sv, 0xd7ff},
                                     {"\xf4\x8f\xbf\xbf"sv, 0x10ffff}}) {
        const base::Utf8Character found = base::first_character(text);
        EXPECT_EQ(found.code, code);
        EXPECT_EQ(found.length, code < 0x80 ? 1u : code < 0x800 ? 2u : code < 0x10000 ? 3u : 4u);
    }
}

TEST(Utf8, FindsNoneWhereThereIsNone) {
    for (const std::string_view text : {""sv, "\x80"sv, "\xc0\xaf"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xf0\x8f\xbf\xbf"sv,
                                        "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv, "\xc3"sv, "\xe2\x82"sv,
                                        "\xc3"
                                        "a"sv})
        EXPECT_EQ(base::first_character(text).length, 0u) << testing::PrintToString(text);
}

}  // namespace
