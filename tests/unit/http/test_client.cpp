#include "http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "canned_server.h"

namespace {

using namespace std::chrono_literals;
using http::Options;
using http::Response;
using http::Session;
using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using testing::AllOf;
using testing::HasSubstr;

// For who says nothing: a server that does answer may be slower on a busy machine.
Options quick() {
    Options options;
    options.answer = 500ms;
    options.stall = 1s;
    return options;
}

// The message of what a request to a server throws.
template <typename E>
std::string failure(const CannedServer& server, const Options& options = {}) {
    try {
        (void)Session(options).send({.url = server.url() + "/x"});
    } catch (const E& e) {
        return e.what();
    }
    return "no such exception";
}

TEST(HttpClient, GivesStatusHeadersAndBody) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("hello", "X-Thing:  a b \r\n", "404 Not Found")); });
    const Response got = Session().send({.url = server.url() + "/x?y=1", .headers = {"Range: bytes=3-"}});
    EXPECT_EQ(got.status, 404);
    EXPECT_FALSE(got.success());
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(got.headers.at("x-thing"), "a b");
    EXPECT_THAT(server.requests().at(0), AllOf(HasSubstr("GET /x?y=1 HTTP/1.1\r\n"), HasSubstr("Range: bytes=3-\r\n")));
}

TEST(HttpClient, ABodyMayBeStreamedAndItsTakerMayThrow) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer(std::string(3 << 20, 'x'))); });
    size_t bytes = 0;
    const auto got = Session().send({.url = server.url(), .sink = [&](const Response& head, std::span<const std::byte> data) {
                                         EXPECT_EQ(head.headers.at("content-length"), std::to_string(3 << 20));
                                         bytes += data.size();
                                     }});
    EXPECT_EQ(bytes, 3U << 20);
    EXPECT_EQ(got.body, "");
    http::Request request{.url = server.url()};
    request.sink = [](const Response&, std::span<const std::byte>) { throw base::Error("enough"); };
    EXPECT_THROW((void)Session().send(request), base::Error);
}

TEST(HttpClient, AHugeAnswerIsRefused) {
    CannedServer server([](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\n\r\n");
        for (int i = 0; i < 64; i++)
            put(fd, std::string(1 << 20, 'x'));
    });
    EXPECT_THAT(failure<base::Error>(server), AllOf(HasSubstr(server.url() + "/x"), HasSubstr("more than 1 MiB")));
}

TEST(HttpClient, EndlessHeadersAreRefused) {
    CannedServer server([](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 1000; i++)
            put(fd, "X-" + std::to_string(i) + ": " + std::string(1000, 'x') + "\r\n");
        put(fd, "\r\n");
    });
    EXPECT_THAT(failure<base::Error>(server), HasSubstr("more than 64 KiB of headers"));
}

TEST(HttpClient, ARedirectLoopEnds) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "Location: /x\r\n", "302 Found")); });
    EXPECT_THAT(failure<base::Error>(server), HasSubstr("redirects"));
    EXPECT_EQ(server.requests().size(), 11U);
}

TEST(HttpClient, ARedirectLeadsToHttpOnly) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "Location: file:///etc/passwd\r\n", "302 Found")); });
    // As said by a libcurl with files, and by that of static programs, which has HTTP alone.
    EXPECT_THAT(failure<base::Error>(server), testing::AnyOf(HasSubstr("Protocol \"file\""), HasSubstr("URL using bad/illegal format")));
}

TEST(HttpClient, APostIsNotRedirected) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "Location: /elsewhere\r\n", "307 Temporary Redirect")); });
    EXPECT_EQ(Session().send({.method = "POST", .url = server.url(), .body = "secret"}).status, 307);
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST(HttpClient, ASilentServerAndADrippingOneEnd) {
    CannedServer silent([](const std::string&, int fd) {
        char c = 0;
        (void)::recv(fd, &c, 1, 0);  // until the client goes
    });
    EXPECT_THAT(failure<http::TransientError>(silent, quick()), HasSubstr("timed out"));
    std::atomic<bool> over = false;
    CannedServer dripping([&over](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        for (int i = 0; i < 1000 && !over; i++) {
            put(fd, "x");
            std::this_thread::sleep_for(50ms);
        }
    });
    EXPECT_THAT(failure<http::TransientError>(dripping, quick()), HasSubstr("timed out"));
    over = true;
}

TEST(HttpClient, AStreamThatStallsEnds) {
    CannedServer server([](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc");
        char c = 0;
        (void)::recv(fd, &c, 1, 0);
    });
    http::Request request{.url = server.url()};
    request.sink = [](const Response&, std::span<const std::byte>) {};
    EXPECT_THROW((void)Session(quick()).send(request), http::TransientError);
}

TEST(HttpClient, NobodyListeningIsSaid) {
    const auto connect = [] { (void)Session(quick()).send({.url = "http://127.0.0.1:1/x"}); };
    EXPECT_THROW(connect(), http::TransientError);
    EXPECT_THROW((void)Session().send({.url = "file:///etc/passwd"}), base::Error);
}

}  // namespace
