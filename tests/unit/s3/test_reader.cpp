#include "s3/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "canned_server.h"

namespace s3 {
namespace {

using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr size_t kSize = 200'000;

// An object of kSize bytes, whose answers are cut after `cut` bytes.
class ReaderTest : public testing::Test {
protected:
    ReaderTest()
        : server_([this](const std::string& head, int fd) { serve(head, fd); }),
          client_({.name = "s3://b/", .bucket = server_.url() + "/b", .prefix = "", .keys = {.key = "K", .secret = "S", .region = "r"}}) {
        for (size_t i = 0; i < kSize; i++)
            object_ += static_cast<char>('a' + i * 7 % 26);
    }

    void serve(const std::string& head, int fd) {
        const size_t at = head.find("Range: bytes=") + 13;
        const uint64_t first = std::stoull(head.substr(at));
        const std::string last_text = head.substr(head.find('-', at) + 1, head.find('\r', at) - head.find('-', at) - 1);
        if (first >= kSize) return put(fd, answer("", "", "416 Range Not Satisfiable"));
        const uint64_t last = last_text.empty() ? kSize - 1 : std::min<uint64_t>(std::stoull(last_text), kSize - 1);
        const std::string range =
            "Content-Range: bytes " + std::to_string(first + shift_) + "-" + std::to_string(last) + "/" + std::to_string(kSize) + "\r\n";
        const std::string whole = answer(object_.substr(first, last - first + 1), range, "206 Partial Content");
        put(fd, whole.substr(0, whole.find("\r\n\r\n") + 4 + cut_));
    }

    static std::string read_all(Reader& reader, size_t piece) {
        std::string all, next(piece, '.');
        while (const size_t n = reader.read(std::as_writable_bytes(std::span(next)), Patience::much))
            all += next.substr(0, n);
        return all;
    }

    std::string object_;
    size_t cut_ = kSize;
    int shift_ = 0;
    CannedServer server_;
    Client client_;
};

TEST_F(ReaderTest, ReadsAPartOrAll) {
    for (const auto& [first, end] :
         {std::pair<uint64_t, uint64_t>{0, UINT64_MAX}, {0, 10}, {5, kSize}, {kSize - 1, UINT64_MAX}, {100, 99'000}}) {
        Reader reader(client_, "key", first, end);
        EXPECT_EQ(read_all(reader, 30'000), object_.substr(first, std::min<uint64_t>(end, kSize) - first));
        EXPECT_EQ(reader.size(), kSize);
    }
}

TEST_F(ReaderTest, GoesOnWhereAnAnswerIsCut) {
    cut_ = 70'000;
    Reader reader(client_, "key", 1, UINT64_MAX);
    EXPECT_EQ(read_all(reader, 50'000), object_.substr(1));
    EXPECT_GE(server_.requests().size(), 3u);
}

TEST_F(ReaderTest, MoreReadersThanAreParkedGoOn) {
    constexpr size_t kPiece = 1'000;
    std::vector<std::unique_ptr<Reader>> readers;
    for (size_t i = 0; i < Client::kMaxParked + 10; i++)
        readers.push_back(std::make_unique<Reader>(client_, "key", i, UINT64_MAX));
    std::string piece(kPiece, '.');
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < readers.size(); i++) {
            ASSERT_EQ(readers[i]->read(std::as_writable_bytes(std::span(piece)), Patience::much), kPiece);
            ASSERT_EQ(piece, object_.substr(i + round * kPiece, kPiece));
        }
    }
    EXPECT_GT(server_.requests().size(), readers.size());
}

TEST_F(ReaderTest, BeyondTheEndIsNothing) {
    Reader reader(client_, "key", kSize, UINT64_MAX);
    EXPECT_EQ(read_all(reader, 10), "");
}

TEST_F(ReaderTest, AnotherPartThanAskedForIsRefused) {
    shift_ = 1;
    Reader reader(client_, "key", 5, UINT64_MAX);
    EXPECT_THAT([&] { read_all(reader, 10); }, ThrowsMessage<base::Error>(HasSubstr("not the part that was asked for")));
}

}  // namespace
}  // namespace s3
