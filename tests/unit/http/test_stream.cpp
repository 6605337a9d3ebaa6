#include "http/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "canned_server.h"

namespace http {
namespace {

using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using testing::HasSubstr;

std::string read(Stream& stream, size_t size) {
    std::string text(size, '.');
    text.resize(stream.read(std::as_writable_bytes(std::span(text))));
    return text;
}

std::string numbers(size_t bytes) {
    std::string text;
    while (text.size() < bytes)
        text += std::to_string(text.size()) + ",";
    text.resize(bytes);
    return text;
}

TEST(StreamTest, GivesTheBodyInPiecesOfAnySize) {
    const std::string body = numbers(1'000'000);
    CannedServer server([&](const std::string&, int fd) { put(fd, answer(body)); });
    Stream stream;
    for (const size_t piece : {1000, 16384, 65536, 300'000}) {
        EXPECT_EQ(stream.open({.url = server.url()}).status, 200);
        std::string all;
        for (std::string next = read(stream, piece); !next.empty(); next = read(stream, piece))
            all += next;
        EXPECT_EQ(all, body) << piece;
        EXPECT_TRUE(stream.ended());
    }
}

TEST(StreamTest, AnotherRequestMayFollowAtAnyPoint) {
    const std::string body = numbers(5'000'000);
    CannedServer server([&](const std::string&, int fd) { put(fd, answer(body)); });
    Stream stream;
    for (int i = 0; i < 3; i++) {
        stream.open({.url = server.url()});
        EXPECT_EQ(read(stream, 100), body.substr(0, 100));
        EXPECT_FALSE(stream.ended());
    }
}

TEST(StreamTest, AnAnswerThatIsNoSuccessIsInTheResponse) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("there is none", "", "404 Not Found")); });
    Stream stream;
    const Response response = stream.open({.url = server.url()});
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.body, "there is none");
}

TEST(StreamTest, AnEmptyBody) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("")); });
    Stream stream;
    EXPECT_EQ(stream.open({.url = server.url()}).status, 200);
    EXPECT_EQ(read(stream, 10), "");
    EXPECT_TRUE(stream.ended());
}

TEST(StreamTest, ABodyThatIsCutAndAStatusThatMayPass) {
    const std::string body = numbers(100'000);
    const std::string cut = answer(body).substr(0, 60'000);
    bool busy = false;
    CannedServer server([&](const std::string&, int fd) { put(fd, busy ? answer("<Code>SlowDown</Code>", "", "503 Slow Down") : cut); });
    Stream stream;
    stream.open({.url = server.url()});
    EXPECT_THROW(read(stream, 100'000), TransientError);
    busy = true;
    EXPECT_THROW(stream.open({.url = server.url()}), TransientError);
}

TEST(StreamTest, AServerThatSaysNothingIsGivenUp) {
    const std::string half = answer(numbers(100'000)).substr(0, 50'000);
    std::string first;
    CannedServer server([&](const std::string& head, int fd) {
        put(fd, head.starts_with("GET /half") ? half : "");
        char byte = 0;
        (void)!::read(fd, &byte, 1);  // until the client goes
    });
    const auto open_none = [&server] { Stream({.answer = std::chrono::milliseconds(300)}).open({.url = server.url() + "/none"}); };
    EXPECT_THROW(open_none(), TransientError);
    Stream stream({.stall = std::chrono::seconds(1)});
    stream.open({.url = server.url() + "/half"});
    EXPECT_THROW(read(stream, 100'000), TransientError);
}

TEST(StreamTest, SignsForS3) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("x")); });
    Stream stream({.aws = AwsKeys{.key = "KEY", .secret = "secret", .session_token = "token", .region = "eu-central-1"}});
    stream.open({.url = server.url() + "/bucket/key", .headers = {"Range: bytes=0-"}});
    const std::string head = server.requests().at(0);
    EXPECT_THAT(head, HasSubstr("Authorization: AWS4-HMAC-SHA256 Credential=KEY/"));
    EXPECT_THAT(head, HasSubstr("/eu-central-1/s3/aws4_request"));
    EXPECT_THAT(head, HasSubstr("x-amz-security-token"));
    EXPECT_THAT(head, HasSubstr("x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    EXPECT_THAT(head, testing::Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace http
