#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "gvmi/image.h"

namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

void expect_no_config(const char* text, const char* reason) {
    EXPECT_THAT([text] { gvmi::parse_config(json::parse(text)); }, ThrowsMessage<base::Error>(HasSubstr(reason))) << text;
}

TEST(Config, Reads) {
    const gvmi::Config config = gvmi::parse_config(json::parse(R"({"User":"1000:1000","Env":["A=1","B"],"WorkingDir":"/w",
        "Entrypoint":["/e","x"],"Cmd":["y"],"Volumes":{"/b/":{},"/a":{},"//a/./":null},"StopTimeout":10,"Other":[null]})"));
    EXPECT_EQ(config.user, "1000:1000");
    EXPECT_THAT(config.env, ElementsAre("A=1", "B"));
    EXPECT_EQ(config.working_dir, "/w");
    EXPECT_THAT(config.entrypoint, ElementsAre("/e", "x"));
    EXPECT_THAT(config.cmd, ElementsAre("y"));
    EXPECT_THAT(config.volumes, ElementsAre("/a", "/b"));
    EXPECT_EQ(config.json["Other"], json::array({nullptr}));
}

TEST(Config, NullIsAbsent) {
    const gvmi::Config config = gvmi::parse_config(
        json::parse(R"({"User":null,"Env":null,"WorkingDir":null,"Entrypoint":null,"Cmd":null,"Volumes":null,"Labels":null,"Tty":null})"));
    EXPECT_EQ(config.user, "");
    EXPECT_THAT(config.env, IsEmpty());
    EXPECT_THAT(config.entrypoint, IsEmpty());
    EXPECT_THAT(config.volumes, IsEmpty());
}

TEST(Config, BareStringIsOneElement) {
    const gvmi::Config config = gvmi::parse_config(json::parse(R"({"Entrypoint":"/e x","Cmd":"c"})"));
    EXPECT_THAT(config.entrypoint, ElementsAre("/e x"));
    EXPECT_THAT(config.cmd, ElementsAre("c"));
}

TEST(Config, NamesTheKeyOfTheWrongType) {
    expect_no_config("[]", "is not a JSON object");
    expect_no_config(R"({"User":1})", "User is not a text");
    expect_no_config(R"({"User":"a\u0000b"})", "User is not a text");
    expect_no_config(R"({"Hostname":[]})", "Hostname is not a text");
    expect_no_config(R"({"Tty":"yes"})", "Tty is not true or false");
    expect_no_config(R"({"Env":"A=1"})", "Env is not a list of texts");
    expect_no_config(R"({"Env":["A=1",null]})", "Env is not a list of texts");
    expect_no_config(R"({"Cmd":{"a":1}})", "Cmd is not a text or a list of texts");
    expect_no_config(R"({"Volumes":["/a"]})", "Volumes is not an object of empty objects");
    expect_no_config(R"({"Volumes":{"/a":1}})", "Volumes is not an object of empty objects");
    expect_no_config(R"({"Labels":{"a":1}})", "Labels is not an object of texts");
    expect_no_config(R"({"StopTimeout":"10"})", "StopTimeout is not an integer");
    expect_no_config(R"({"StopTimeout":1.5})", "StopTimeout is not an integer");
    expect_no_config(R"({"Healthcheck":true})", "Healthcheck is not an object");
}

TEST(Config, RefusesVolumePaths) {
    expect_no_config(R"({"Volumes":{"a":{}}})", "the path \"a\" is not absolute");
    expect_no_config(R"({"Volumes":{"":{}}})", "is not absolute");
    expect_no_config(R"({"Volumes":{"/a/../b":{}}})", "has \"..\" in it");
    expect_no_config(R"({"Volumes":{"/..":{}}})", "has \"..\" in it");
    expect_no_config(R"({"Volumes":{"//.":{}}})", "is the root");
    expect_no_config(R"({"Volumes":{"/a\u0000":{}}})", "has a zero byte in it");
    EXPECT_EQ(gvmi::normal_volume_path("/a..b/..c"), "/a..b/..c");
}

}  // namespace
