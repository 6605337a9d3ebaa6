#include "http/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "canned_server.h"

namespace {

using namespace std::chrono_literals;
using http::Options;
using http::Response;
using http::Session;
using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using testing::HasSubstr;

Options three_tries() {
    Options options;
    options.tries = 3;
    options.pause = 10ms;
    return options;
}

TEST(Retry, WhatMayPassIsTriedAgain) {
    std::atomic<int> count = 0;
    CannedServer server([&count](const std::string&, int fd) {
        const int number = ++count;
        if (number == 1) put(fd, answer("busy", "", "503 Service Unavailable"));
        if (number == 2) return;  // closes the connection
        if (number == 3) put(fd, answer("there"));
    });
    Response got;
    std::vector<std::string> reasons;
    Options options = three_tries();
    options.retrying = [&reasons](const std::string& reason) { reasons.push_back(reason); };
    Session session(options);
    http::retry(options, [&] { got = session.send({.url = server.url()}); });
    EXPECT_EQ(got.body, "there");
    ASSERT_EQ(reasons.size(), 2U);
    EXPECT_THAT(reasons[0], HasSubstr("status 503: busy"));
    options.tries = 2;
    count = 0;
    EXPECT_THROW(http::retry(options, [&] { got = session.send({.url = server.url()}); }), http::TransientError);
    EXPECT_EQ(count, 2);
}

TEST(Retry, WaitsAsLongAsTheServerAsks) {
    std::atomic<int> count = 0;
    CannedServer server([&count](const std::string&, int fd) {
        put(fd, ++count == 1 ? answer("busy", "Retry-After: 1\r\n", "429 Too Many Requests") : answer("there"));
    });
    Session session;
    const auto start = std::chrono::steady_clock::now();
    http::retry(three_tries(), [&] { (void)session.send({.url = server.url()}); });
    EXPECT_GE(std::chrono::steady_clock::now() - start, 1s);
    EXPECT_EQ(count, 2);
}

TEST(Retry, EndsWhereTheServerAsksForTooLong) {
    std::atomic<int> count = 0;
    CannedServer server([&count](const std::string&, int fd) {
        count++;
        put(fd, answer("closed until tomorrow", "Retry-After: 121\r\n", "503 Service Unavailable"));
    });
    Session session;
    const auto send = [&] { http::retry(three_tries(), [&] { (void)session.send({.url = server.url()}); }); };
    EXPECT_THROW(send(), http::TransientError);
    EXPECT_EQ(count, 1);
}

TEST(Retry, BeginsNoTryAfterTheLastOnesTime) {
    Options options = three_tries();
    options.last_try = 20ms;
    int tries = 0;
    const auto slow = [&tries] {
        tries++;
        std::this_thread::sleep_for(30ms);
        throw http::TransientError("slow");
    };
    EXPECT_THROW(http::retry(options, slow), http::TransientError);
    EXPECT_EQ(tries, 1);
}

TEST(Retry, PausesDifferButStayBetweenHalfAndTheWhole) {
    std::set<std::chrono::milliseconds> seen;
    for (int i = 0; i < 1000; i++)
        seen.insert(http::jittered(1000ms));
    EXPECT_GE(*seen.begin(), 500ms);
    EXPECT_LE(*seen.rbegin(), 1000ms);
    EXPECT_GT(seen.size(), 100U);
    EXPECT_EQ(http::jittered(0ms), 0ms);
}

}  // namespace
