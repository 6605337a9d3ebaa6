#include "s3/presign.h"

#include <gtest/gtest.h>

namespace s3 {
namespace {

using std::chrono::seconds;

constexpr std::time_t kNow = 1369353600;  // 2013-05-24T00:00:00Z
const http::AwsKeys kKeys{
    .key = "AKIAIOSFODNN7EXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", .session_token = {}, .region = "us-east-1"};

std::string signature(const std::string& url) {
    return url.substr(url.find("&X-Amz-Signature=") + 17);
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
TEST(PresignTest, AmazonsExample) {
    EXPECT_EQ(presign_get("https://examplebucket.s3.amazonaws.com/test.txt", kKeys, kNow, seconds(86400)),
              "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
              "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
              "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
              "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(PresignTest, AHostHasItsPortUnlessItGoesWithoutSaying) {
    const auto sign = [](const char* url) { return signature(presign_get(url, kKeys, kNow, seconds(60))); };
    EXPECT_EQ(sign("https://store/b/k"), sign("https://store:443/b/k"));
    EXPECT_EQ(sign("http://store/b/k"), sign("http://store:80/b/k"));
    EXPECT_NE(sign("http://store/b/k"), sign("http://store:443/b/k"));
    EXPECT_NE(sign("http://store/b/k"), sign("http://store:7070/b/k"));
    EXPECT_NE(sign("http://b.store/k"), sign("http://store/b/k")) << "both styles";
}

TEST(PresignTest, ASessionTokenIsSigned) {
    http::AwsKeys keys = kKeys;
    keys.session_token = "a/b=";
    const std::string url = presign_get("https://store/b/k", keys, kNow, seconds(60));
    EXPECT_NE(url.find("&X-Amz-Expires=60&X-Amz-Security-Token=a%2Fb%3D&X-Amz-SignedHeaders=host&"), std::string::npos) << url;
    EXPECT_NE(signature(url), signature(presign_get("https://store/b/k", kKeys, kNow, seconds(60))));
    EXPECT_EQ(url.find(keys.secret), std::string::npos);
}

}  // namespace
}  // namespace s3
