#include "registry/server/image_content.h"

#include "base/error.h"
#include "fixture.h"

namespace registry::server {
namespace {

class ImageContentTest : public Registry {};

TEST_F(ImageContentTest, ReadsOverChunks) {
    const std::string text = "abcdefghij";
    const TestImage image(text);
    add(image, State::full);
    ImageContent content(storage_, image.descriptor);
    for (uint64_t offset = 0; offset < text.size(); offset++) {
        std::string got;
        while (offset + got.size() < text.size()) {
            char block[3];
            got.append(block, content.read(offset + got.size(), std::as_writable_bytes(std::span(block))));
        }
        EXPECT_EQ(got, text.substr(offset));
    }
    char block[3];
    EXPECT_EQ(content.read(12, std::as_writable_bytes(std::span(block))), 0u);
}

TEST_F(ImageContentTest, ACutChunkIsAnError) {
    const TestImage image("abcdef");
    add(image, State::full);
    std::filesystem::resize_file(folder_ / "chunks" / image.descriptor.chunks[0].substr(0, 2) / image.descriptor.chunks[0], 2);
    ImageContent content(storage_, image.descriptor);
    char block[3];
    EXPECT_THROW(content.read(2, std::as_writable_bytes(std::span(block))), base::Error);
}

// Gives `content` a text in pieces of so many bytes.
void check(ImageContent& content, const std::string& text, size_t piece, uint64_t first = 0) {
    for (size_t i = 0; i < text.size(); i += piece)
        content.check(first + i, std::as_bytes(std::span(text).subspan(i, std::min(piece, text.size() - i))));
}

TEST_F(ImageContentTest, ComparesEachWholeChunk) {
    const TestImage image("abcdefghij");
    ASSERT_EQ(image.descriptor.chunk_size, 4u);
    for (const size_t piece : {1, 2, 4}) {
        ImageContent content(storage_, image.descriptor);
        check(content, "abcdefghij", piece);
        EXPECT_THROW(check(content, "abcx", piece), base::Error);
        EXPECT_THROW(check(content, "efgx", piece, 4), base::Error);
        EXPECT_THROW(check(content, "ix", piece, 8), base::Error);
        check(content, "abcd", piece);
    }
}

// As a client asks for it who has the beginning.
TEST_F(ImageContentTest, APartOfAChunkIsNotCompared) {
    const TestImage image("abcdefghij");
    ImageContent content(storage_, image.descriptor);
    check(content, "cd", 1, 2);
    check(content, "efgh", 2, 4);
    check(content, "ij", 1, 8);
    check(content, "ab", 1);
    check(content, "gh", 1, 6);
    EXPECT_THROW(check(content, "abdc", 2), base::Error);
}

void expect_range(const char* header, Range::Kind kind, uint64_t first, uint64_t length) {
    const Range range = parse_range(header, 100);
    EXPECT_EQ(range.kind, kind) << header;
    EXPECT_EQ(range.first, first) << header;
    EXPECT_EQ(range.length, length) << header;
}

TEST(ParseRange, KnowsTheThreeForms) {
    expect_range("bytes=0-9", Range::Kind::part, 0, 10);
    expect_range("bytes=90-", Range::Kind::part, 90, 10);
    expect_range("bytes=-10", Range::Kind::part, 90, 10);
    expect_range("bytes=90-1000", Range::Kind::part, 90, 10);
    expect_range("bytes=-1000", Range::Kind::part, 0, 100);
    expect_range("bytes=1-99999999999999999999999", Range::Kind::part, 1, 99);
}

TEST(ParseRange, WhatIsImpossible) {
    for (const char* header : {"bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"})
        expect_range(header, Range::Kind::impossible, 0, 0);
}

TEST(ParseRange, WhatIsNotUnderstoodIsTheWhole) {
    for (const char* header :
         {"", "bytes", "bytes=", "bytes=-", "bytes=9-1", "bytes=a-", "bytes=1-b", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2"})
        expect_range(header, Range::Kind::whole, 0, 100);
}

}  // namespace
}  // namespace registry::server
