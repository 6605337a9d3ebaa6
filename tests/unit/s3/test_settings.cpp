#include "s3/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

namespace s3 {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Environment environment_of(std::map<std::string, std::string> values) {
    return [values = std::move(values)](const char* name) {
        const auto found = values.find(name);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    };
}

const Environment kKeys = environment_of({{"AWS_ACCESS_KEY_ID", "key"}, {"AWS_SECRET_ACCESS_KEY", "secret"}});

TEST(SettingsTest, WhereTheBucketIs) {
    Settings found = settings({.url = "s3://images", .region = "eu-central-1"}, kKeys);
    EXPECT_EQ(found.bucket, "https://images.s3.eu-central-1.amazonaws.com");
    EXPECT_EQ(found.prefix, "");
    EXPECT_EQ(found.keys.region, "eu-central-1");
    found = settings({.url = "s3://images/a/b.c/", .endpoint = "http://[::1]:9000/", .path_style = true}, kKeys);
    EXPECT_EQ(found.bucket, "http://[::1]:9000/images");
    EXPECT_EQ(found.prefix, "a/b.c/");
    EXPECT_EQ(found.name, "s3://images/a/b.c/");
    EXPECT_EQ(found.keys.region, "us-east-1");
    EXPECT_EQ(settings({.url = "s3://images", .endpoint = "https://store.example.org:9000"}, kKeys).bucket,
              "https://images.store.example.org:9000");
}

TEST(SettingsTest, WhatIsNoPlace) {
    for (const char* url : {"images", "http://images", "s3://", "s3://Images", "s3://im", "s3://images/../x", "s3://images//x",
                            "s3://images/a b", "s3://images/%2e", "s3://images/a?x"})
        EXPECT_THAT([&] { settings({.url = url}, kKeys); }, ThrowsMessage<base::Error>(HasSubstr("bad store"))) << url;
    for (const char* endpoint : {"ftp://a", "https://u:p@a", "https://a/path", "https://a?x"})
        EXPECT_THAT([&] { settings({.url = "s3://images", .endpoint = endpoint}, kKeys); },
                    ThrowsMessage<base::Error>(HasSubstr("bad S3 endpoint")))
            << endpoint;
    EXPECT_THAT([] { settings({.url = "s3://images", .region = "a:b"}, kKeys); }, ThrowsMessage<base::Error>(HasSubstr("bad S3 region")));
}

TEST(SettingsTest, KeysFromTheEnvironmentOrElseTheFile) {
    const std::string file = testing::TempDir() + "credentials";
    std::ofstream(file) << "# a comment\n[default]\naws_access_key_id = one\naws_secret_access_key=two=\n\n[work]\n"
                           "aws_access_key_id=three\r\naws_secret_access_key = four\naws_session_token = five\n";
    Settings found = settings({.url = "s3://images"}, environment_of({{"AWS_SHARED_CREDENTIALS_FILE", file}}));
    EXPECT_EQ(found.keys.key, "one");
    EXPECT_EQ(found.keys.secret, "two=");
    EXPECT_EQ(found.keys.session_token, "");
    found = settings({.url = "s3://images"},
                     environment_of({{"AWS_SHARED_CREDENTIALS_FILE", file}, {"AWS_PROFILE", "work"}, {"AWS_REGION", "r"}}));
    EXPECT_EQ(found.keys.key, "three");
    EXPECT_EQ(found.keys.session_token, "five");
    EXPECT_EQ(found.keys.region, "r");
    EXPECT_THAT(
        [&] {
            settings({.url = "s3://images"}, environment_of({{"AWS_SHARED_CREDENTIALS_FILE", file}, {"AWS_PROFILE", "no"}}));
        },
        ThrowsMessage<base::Error>(HasSubstr("no keys for the S3 store")));
    found = settings({.url = "s3://images"}, environment_of({{"AWS_SHARED_CREDENTIALS_FILE", file},
                                                             {"AWS_ACCESS_KEY_ID", "six"},
                                                             {"AWS_SECRET_ACCESS_KEY", "seven"},
                                                             {"AWS_SESSION_TOKEN", "eight"}}));
    EXPECT_EQ(found.keys.secret, "seven");
    EXPECT_EQ(found.keys.session_token, "eight");
}

}  // namespace
}  // namespace s3
