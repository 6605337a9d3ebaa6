#include "registry/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "canned_server.h"

namespace {

using namespace std::chrono_literals;
using registry::HttpAnswer;
using registry::HttpOptions;
using registry::HttpSession;
using registry_test::answer;
using registry_test::CannedServer;
using registry_test::put;
using testing::AllOf;
using testing::HasSubstr;

HttpOptions quick() {
    HttpOptions options;
    options.answer = 500ms;
    options.stall = 1s;
    options.tries = 3;
    options.pause = 10ms;
    return options;
}

// The message of what a request to a server throws.
template <typename E>
std::string failure(const CannedServer& server, const HttpOptions& options = quick()) {
    try {
        (void)HttpSession(options).send({.url = server.url() + "/x"});
    } catch (const E& e) {
        return e.what();
    }
    return "no such exception";
}

TEST(Http, GivesStatusHeadersAndBody) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("hello", "X-Thing:  a b \r\n", "404 Not Found")); });
    const HttpAnswer got = HttpSession().send({.url = server.url() + "/x?y=1", .headers = {"Range: bytes=3-"}});
    EXPECT_EQ(got.status, 404);
    EXPECT_FALSE(got.success());
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(got.headers.at("x-thing"), "a b");
    EXPECT_THAT(server.requests().at(0), AllOf(HasSubstr("GET /x?y=1 HTTP/1.1\r\n"), HasSubstr("Range: bytes=3-\r\n")));
}

TEST(Http, ABodyMayBeStreamedAndItsTakerMayThrow) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer(std::string(3 << 20, 'x'))); });
    size_t bytes = 0;
    const auto got = HttpSession().send({.url = server.url(), .sink = [&](const HttpAnswer& head, std::span<const std::byte> data) {
                                             EXPECT_EQ(head.headers.at("content-length"), std::to_string(3 << 20));
                                             bytes += data.size();
                                         }});
    EXPECT_EQ(bytes, 3U << 20);
    EXPECT_EQ(got.body, "");
    registry::HttpRequest request{.url = server.url()};
    request.sink = [](const HttpAnswer&, std::span<const std::byte>) { throw base::Error("enough"); };
    EXPECT_THROW((void)HttpSession().send(request), base::Error);
}

TEST(Http, AHugeAnswerIsRefused) {
    CannedServer server([](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\n\r\n");
        for (int i = 0; i < 64; i++)
            put(fd, std::string(1 << 20, 'x'));
    });
    EXPECT_THAT(failure<base::Error>(server), AllOf(HasSubstr(server.url() + "/x"), HasSubstr("more than 1 MiB")));
}

TEST(Http, EndlessHeadersAreRefused) {
    CannedServer server([](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 1000; i++)
            put(fd, "X-" + std::to_string(i) + ": " + std::string(1000, 'x') + "\r\n");
        put(fd, "\r\n");
    });
    EXPECT_THAT(failure<base::Error>(server), HasSubstr("more than 64 KiB of headers"));
}

TEST(Http, ARedirectLoopEnds) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "Location: /x\r\n", "302 Found")); });
    EXPECT_THAT(failure<base::Error>(server), HasSubstr("redirects"));
    EXPECT_EQ(server.requests().size(), 11U);
}

TEST(Http, ARedirectLeadsToHttpOnly) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "Location: file:///etc/passwd\r\n", "302 Found")); });
    EXPECT_THAT(failure<base::Error>(server), HasSubstr("file"));
}

TEST(Http, APostIsNotRedirected) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "Location: /elsewhere\r\n", "307 Temporary Redirect")); });
    EXPECT_EQ(HttpSession().send({.method = "POST", .url = server.url(), .body = "secret"}).status, 307);
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST(Http, ASilentServerAndADrippingOneEnd) {
    CannedServer silent([](const std::string&, int fd) {
        char c = 0;
        (void)::recv(fd, &c, 1, 0);  // until the client goes
    });
    EXPECT_THAT(failure<registry::TransientError>(silent), HasSubstr("timed out"));
    std::atomic<bool> over = false;
    CannedServer dripping([&over](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        for (int i = 0; i < 100 && !over; i++) {
            put(fd, "x");
            std::this_thread::sleep_for(50ms);
        }
    });
    EXPECT_THAT(failure<registry::TransientError>(dripping), HasSubstr("timed out"));
    over = true;
}

TEST(Http, AStreamThatStallsEnds) {
    CannedServer server([](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc");
        char c = 0;
        (void)::recv(fd, &c, 1, 0);
    });
    registry::HttpRequest request{.url = server.url()};
    request.sink = [](const HttpAnswer&, std::span<const std::byte>) {};
    EXPECT_THROW((void)HttpSession(quick()).send(request), registry::TransientError);
}

TEST(Http, WhatMayPassIsTriedAgain) {
    std::atomic<int> count = 0;
    CannedServer server([&count](const std::string&, int fd) {
        const int number = ++count;
        if (number == 1) put(fd, answer("busy", "", "503 Service Unavailable"));
        if (number == 2) return;  // closes the connection
        if (number == 3) put(fd, answer("there"));
    });
    HttpAnswer got;
    std::vector<std::string> reasons;
    HttpOptions options = quick();
    options.retrying = [&reasons](const std::string& reason) { reasons.push_back(reason); };
    HttpSession session(options);
    registry::retry(options, [&] { got = session.send({.url = server.url()}); });
    EXPECT_EQ(got.body, "there");
    ASSERT_EQ(reasons.size(), 2U);
    EXPECT_THAT(reasons[0], HasSubstr("status 503: busy"));
    options.tries = 2;
    count = 0;
    EXPECT_THROW(registry::retry(options, [&] { got = session.send({.url = server.url()}); }), registry::TransientError);
    EXPECT_EQ(count, 2);
}

TEST(Http, NobodyListeningIsSaid) {
    const auto connect = [] { (void)HttpSession(quick()).send({.url = "http://127.0.0.1:1/x"}); };
    EXPECT_THROW(connect(), registry::TransientError);
    EXPECT_THROW((void)HttpSession().send({.url = "file:///etc/passwd"}), base::Error);
}

TEST(Http, UrlsAreEncoded) {
    EXPECT_EQ(registry::url_encode("a-_.~/b c&d=%"), "a-_.~%2Fb%20c%26d%3D%25");
    EXPECT_EQ(registry::url_encode("ü"), "%C3%BC");
}

}  // namespace
