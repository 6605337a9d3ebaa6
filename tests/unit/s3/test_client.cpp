#include "s3/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/hash.h"
#include "canned_server.h"

namespace s3 {
namespace {

using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

Settings settings_of(const CannedServer& server) {
    return {
        .name = "s3://images/p/", .bucket = server.url() + "/images", .prefix = "p/", .keys = {.key = "K", .secret = "S", .region = "r"}};
}

TEST(ClientTest, TriesAgainWhatMayPass) {
    int left = 2;
    CannedServer server([&](const std::string&, int fd) {
        put(fd, left-- > 0 ? answer("", "", "503 Slow Down") : "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n");
    });
    Client client(settings_of(server));
    EXPECT_EQ(client.size("a"), 7u);
    EXPECT_EQ(server.requests().size(), 3u);
}

TEST(ClientTest, GivesUpAndThenTriesOnceForAWhile) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "", "503 Slow Down")); });
    Client client(settings_of(server));
    EXPECT_THROW(client.remove("a"), http::TransientError);
    EXPECT_EQ(server.requests().size(), 4u);
    EXPECT_THROW(client.remove("a"), http::TransientError);
    EXPECT_EQ(server.requests().size(), 5u);
}

TEST(ClientTest, WhatIsNotThere) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", "", "404 Not Found")); });
    Client client(settings_of(server));
    EXPECT_EQ(client.size("a"), std::nullopt);
    EXPECT_NO_THROW(client.remove("a"));
    EXPECT_THAT(server.requests(), ElementsAre(StartsWith("HEAD /images/p/a "), StartsWith("DELETE /images/p/a ")));
}

TEST(ClientTest, ARefusalNamesItsReason) {
    CannedServer server([](const std::string&, int fd) {
        put(fd, answer("<Error><Code>AccessDenied</Code><Message>no</Message></Error>", "", "403 Forbidden"));
    });
    Client client(settings_of(server));
    EXPECT_THAT([&] { client.check(); }, ThrowsMessage<base::Error>(HasSubstr("status 403: AccessDenied: no")));
    EXPECT_EQ(server.requests().size(), 1u);
}

// "hello" in a file, with its SHA-256.
struct Hello {
    Hello() { base::write_all(file.get(), "hello", "it"); }
    base::UniqueFd file = base::memory_file("test");
    std::string sha256 = base::sha256_hex(std::as_bytes(std::span(std::string_view("hello"))));
};

constexpr const char* kChecksum = "x-amz-checksum-sha256: LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=\r\n";
constexpr const char* kUnsigned = "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n";

TEST(ClientTest, PutsAFileWithItsChecksum) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("", kChecksum)); });
    Client client(settings_of(server));
    const Hello hello;
    for (const char* key : {"a", "b"})
        client.put(key, hello.file.get(), 5, hello.sha256);
    ASSERT_EQ(server.requests().size(), 2u);
    for (const std::string& request : server.requests()) {
        EXPECT_THAT(request, StartsWith("PUT /images/p/"));
        EXPECT_THAT(request, HasSubstr(kChecksum));
        EXPECT_THAT(request, HasSubstr(kUnsigned));
        EXPECT_THAT(request, ContainsRegex("SignedHeaders=[^,]*;x-amz-checksum-sha256;"));
        EXPECT_THAT(request, HasSubstr("Content-Length: 5\r\n"));
    }
}

// Once with the checksum, and from then on with the hash in the signature.
void expect_signed(const std::string& headers, const std::string& status) {
    CannedServer server([&](const std::string& head, int fd) {
        head.find(kUnsigned) == std::string::npos ? put(fd, answer("")) : put(fd, answer("", headers, status));
    });
    Client client(settings_of(server));
    const Hello hello;
    for (const char* key : {"a", "b"})
        client.put(key, hello.file.get(), 5, hello.sha256);
    const std::string with_hash = "x-amz-content-sha256: " + hello.sha256;
    EXPECT_THAT(server.requests(), ElementsAre(HasSubstr(kUnsigned), HasSubstr(with_hash), HasSubstr(with_hash)));
}

TEST(ClientTest, AStoreThatKnowsNoChecksumsComparesTheHash) {
    expect_signed("", "200 OK");
    expect_signed("x-amz-checksum-sha256: AAAA\r\n", "200 OK");
    expect_signed("", "403 Forbidden");
    expect_signed("", "501 Not Implemented");
}

TEST(ClientTest, WhatIsRefusedInBothWaysTellsNothingOfTheStore) {
    bool refuses = true;
    CannedServer server(
        [&](const std::string&, int fd) { refuses ? put(fd, answer("", "", "400 Bad Request")) : put(fd, answer("", kChecksum)); });
    Client client(settings_of(server));
    const Hello hello;
    EXPECT_THROW(client.put("a", hello.file.get(), 5, hello.sha256), base::Error);
    refuses = false;
    client.put("a", hello.file.get(), 5, hello.sha256);
    EXPECT_THAT(server.requests(), ElementsAre(HasSubstr(kUnsigned), HasSubstr(hello.sha256), HasSubstr(kUnsigned)));
}

TEST(ClientTest, ListsAllPages) {
    CannedServer server([](const std::string& head, int fd) {
        const bool second = head.find("continuation-token=t%2F1&") != std::string::npos;
        put(fd, answer(second ? "<ListBucketResult><Contents><Key>p/c/2</Key><Size>2</Size></Contents></ListBucketResult>"
                              : "<ListBucketResult><Contents><Key>p/c/1</Key><Size>1</Size></Contents>"
                                "<NextContinuationToken>t/1</NextContinuationToken></ListBucketResult>"));
    });
    Client client(settings_of(server));
    std::vector<std::string> keys;
    client.list("c/", [&](const Object& object) { keys.push_back(object.key + " " + std::to_string(object.size)); });
    EXPECT_THAT(keys, ElementsAre("c/1 1", "c/2 2"));
    EXPECT_THAT(server.requests().at(0), StartsWith("GET /images/?list-type=2&max-keys=1000&prefix=p%2Fc%2F "));
}

TEST(ClientTest, AListWithoutAnEndOrOfOthersIsRefused) {
    std::string body = "<ListBucketResult><NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    CannedServer server([&](const std::string&, int fd) { put(fd, answer(body)); });
    Client client(settings_of(server));
    const auto list = [&] { client.list("", [](const Object&) {}); };
    EXPECT_THAT(list, ThrowsMessage<base::Error>(HasSubstr("does not end")));
    body = "<ListBucketResult><Contents><Key>other</Key></Contents></ListBucketResult>";
    EXPECT_THAT(list, ThrowsMessage<base::Error>(HasSubstr("not asked for")));
}

}  // namespace
}  // namespace s3
