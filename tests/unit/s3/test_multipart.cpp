#include "s3/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/hash.h"
#include "canned_server.h"

namespace s3 {
namespace {

using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

constexpr const char* kCreated =
    "<InitiateMultipartUploadResult><Key>p/composed/x</Key><UploadId>u+1</UploadId></InitiateMultipartUploadResult>";

// What a store says to the requests of an upload; `completed` to the last one.
std::string say(const std::string& request, const std::string& completed) {
    if (request.starts_with("POST /images/p/composed/x?uploads=")) return answer(kCreated);
    if (request.starts_with("PUT ")) return answer("", "ETag: \"e\"\r\n");
    if (request.starts_with("HEAD ")) return answer("", "", "404 Not Found");
    return request.starts_with("POST ") ? completed : answer("", "", "204 No Content");
}

struct Upload {
    explicit Upload(const std::string& completed)
        : server([completed](const std::string& request, int fd) { put(fd, say(request, completed)); }),
          client({.name = "s3://images/p/",
                  .bucket = server.url() + "/images",
                  .prefix = "p/",
                  .keys = {.key = "K", .secret = "S", .session_token = {}, .region = "r"}}) {}

    void write() {
        MultipartWriter writer(client, "composed/x", 5);
        writer.write(std::as_bytes(std::span(std::string_view("hello"))));
        writer.finish();
    }

    CannedServer server;
    Client client;
};

TEST(MultipartTest, SendsPartsAndNamesThem) {
    Upload upload(answer("<CompleteMultipartUploadResult/>"));
    upload.write();
    const auto requests = upload.server.requests();
    ASSERT_EQ(requests.size(), 3u);
    EXPECT_THAT(requests[1], StartsWith("PUT /images/p/composed/x?partNumber=1&uploadId=u%2B1 "));
    EXPECT_THAT(requests[1], HasSubstr("x-amz-content-sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n"));
    EXPECT_THAT(requests[2], StartsWith("POST /images/p/composed/x?uploadId=u%2B1 "));
    const std::string_view parts =
        "<CompleteMultipartUpload "
        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part>"
        "</CompleteMultipartUpload>";
    EXPECT_THAT(requests[2], HasSubstr("x-amz-content-sha256: " + base::sha256_hex(std::as_bytes(std::span(parts)))));
}

TEST(MultipartTest, DropsWhatIsNotFinished) {
    Upload upload(answer("<Error><Code>InternalError</Code><Message>no</Message></Error>"));
    EXPECT_THAT([&] { upload.write(); }, ThrowsMessage<base::Error>(HasSubstr("InternalError: no")));
    const auto requests = upload.server.requests();
    ASSERT_EQ(requests.size(), 5u);
    EXPECT_THAT(requests[3], StartsWith("HEAD /images/p/composed/x "));
    EXPECT_THAT(requests[4], StartsWith("DELETE /images/p/composed/x?uploadId=u%2B1 "));
}

TEST(MultipartTest, PartsGrowWithTheObject) {
    constexpr uint64_t kMiB = 1 << 20;
    EXPECT_EQ(part_size_for(1), 16 * kMiB);
    EXPECT_EQ(part_size_for(160'000 * kMiB), 16 * kMiB);
    EXPECT_EQ(part_size_for(160'000 * kMiB + 1), 17 * kMiB);
}

}  // namespace
}  // namespace s3
