#include "convert/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::ThrowsMessage;

oci::Image image_with(const char* config) {
    oci::Image image;
    image.id = "abc";
    image.config = json::parse(config);
    return image;
}

json converted(const char* config, const convert::Changes& changes = {}) {
    std::vector<std::string> notes;
    return convert::container_config(image_with(config), changes, notes);
}

TEST(ContainerConfig, KeepsTheContainersPart) {
    EXPECT_EQ(converted(R"({"os":"linux","config":{"User":"1000:1000","Env":["A=1"],"Unknown":{"x":null}}})"),
              json::parse(R"({"User":"1000:1000","Env":["A=1"],"Unknown":{"x":null},"Image":"abc"})"));
    EXPECT_EQ(converted(R"({})"), json::parse(R"({"Image":"abc"})"));
    EXPECT_EQ(converted(R"({"config":null})"), json::parse(R"({"Image":"abc"})"));
}

TEST(ContainerConfig, WritesWhatOldReadersTake) {
    EXPECT_EQ(converted(R"({"config":{"Entrypoint":"/e","Cmd":null,"Volumes":{"/a":null},"ExposedPorts":{"80/tcp":null},"Shell":"sh"}})"),
              json::parse(R"({"Entrypoint":["/e"],"Volumes":{"/a":{}},"ExposedPorts":{"80/tcp":{}},"Shell":["sh"],"Image":"abc"})"));
}

// Go, and so Docker and Podman, read a null in a list or among labels as an empty text.
TEST(ContainerConfig, TakesNullsAnywhere) {
    EXPECT_EQ(converted(R"({"config":{"Labels":{"a":null,"b":"c"},"Env":["A=1",null],"Cmd":[null],"OnBuild":[null],"User":null,
                            "Healthcheck":null,"StopTimeout":null}})"),
              json::parse(R"({"Labels":{"a":"","b":"c"},"Env":["A=1",""],"Cmd":[""],"OnBuild":[""],"Image":"abc"})"));
}

TEST(ContainerConfig, CleansTheVolumesPathsAsDockerDoes) {
    std::vector<std::string> notes;
    const json config = convert::container_config(
        image_with(
            R"({"config":{"Volumes":{"./data":{},"['/data']":{},"/a/../b":{},"/c//d/./":{},"/../../e":{},"/ok":{},"/slash/":{},"/":{},
                       "":{},"a/..":{}}}})"),
        {}, notes);
    EXPECT_EQ(config["Volumes"], json::parse(R"({"/data":{},"/['/data']":{},"/b":{},"/c/d":{},"/e":{},"/ok":{},"/slash":{}})"));
    EXPECT_THAT(notes, testing::UnorderedElementsAre("the volume \"./data\" is \"/data\"", "the volume \"['/data']\" is \"/['/data']\"",
                                                     "the volume \"/a/../b\" is \"/b\"", "the volume \"/c//d/./\" is \"/c/d\"",
                                                     "the volume \"/../../e\" is \"/e\"",
                                                     "the volume \"/\" is the root, which cannot be one, and was left out",
                                                     "the volume \"\" is the root, which cannot be one, and was left out",
                                                     "the volume \"a/..\" is the root, which cannot be one, and was left out"));
}

TEST(ContainerConfig, MakesChanges) {
    convert::Changes changes;
    changes.env = {"A=2", "B=3", "AB="};
    changes.volumes = {"/v/", "/w"};
    changes.entrypoint = {"/run me"};
    changes.user = "nobody";
    EXPECT_EQ(converted(R"({"config":{"Env":["A=1","Z=26"],"Entrypoint":["/e"],"Cmd":["x"],"Volumes":{"/w":{}},"User":"root"}})", changes),
              json::parse(R"({"Env":["A=2","Z=26","B=3","AB="],"Entrypoint":["/run me"],"Volumes":{"/v":{},"/w":{}},"User":"nobody",
                              "Image":"abc"})"));
    EXPECT_EQ(converted("{}", changes)["Env"], json::parse(R"(["A=2","B=3","AB="])"));
    const convert::Changes start{.entrypoint = {{"/e", "x"}}, .cmd = {{"y z"}}, .working_dir = "/w"};
    EXPECT_EQ(converted(R"({"config":{"Cmd":["x"],"WorkingDir":"/"}})", start),
              json::parse(R"({"Entrypoint":["/e","x"],"Cmd":["y z"],"WorkingDir":"/w","Image":"abc"})"));
}

TEST(ContainerConfig, RefusesWhatAReaderWould) {
    const auto expect_refused = [](const char* config, const convert::Changes& changes, const char* reason) {
        EXPECT_THAT([&] { converted(config, changes); }, ThrowsMessage<base::Error>(HasSubstr(reason)));
    };
    expect_refused(R"({"config":[]})", {}, "\"config\" is not a JSON object");
    expect_refused(R"({"config":{"Env":[1]}})", {}, "Env is not a list of texts");
    expect_refused(R"({"config":{"Env":{}}})", {.env = {"A=1"}}, "Env is not a list of texts");
    expect_refused("{}", {.volumes = {"/a/../.."}}, "has \"..\" in it");
    expect_refused("{}", {.env = {"A"}}, "\"A\" is not of the form NAME=VALUE");
    expect_refused("{}", {.env = {"=1"}}, "is not of the form NAME=VALUE");
    expect_refused("{}", {.volumes = {"a"}}, "is not absolute");
}

}  // namespace
