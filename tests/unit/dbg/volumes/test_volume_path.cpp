#include "dbg/volumes/volume_path.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace dbg {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<VolumeFolder> kVolumes{{"/golem", "/w/a"}, {"/golem/output", "/w/b"}, {"/data", "/w/c"}};

std::string host_of(const std::string& path) {
    return find_volume(kVolumes, path).volume.host;
}

std::string refusal(const std::vector<VolumeFolder>& volumes, const std::string& path) {
    try {
        (void)find_volume(volumes, path);
    } catch (const base::Error& e) {
        return e.what();
    }
    return "found";
}

TEST(VolumePath, LongestThatEndsAtASlash) {
    EXPECT_EQ(host_of("/golem/output/x"), "/w/b");
    EXPECT_EQ(host_of("/golem/outputs/x"), "/w/a");
    EXPECT_EQ(host_of("/golem/x"), "/w/a");
    EXPECT_EQ(host_of("/data"), "/w/c");
    EXPECT_THAT(find_volume(kVolumes, "/golem/output//a/./b").names, ElementsAre("a", "b"));
    EXPECT_TRUE(find_volume(kVolumes, "/golem/output/").names.empty());
}

TEST(VolumePath, OthersAreRefusedAndTheVolumesNamed) {
    EXPECT_THAT(refusal(kVolumes, "/database/x"), HasSubstr("is in no volume: there are \"/golem\", \"/golem/output\", \"/data\""));
    EXPECT_THAT(refusal({}, "/x"), HasSubstr("the deployment has none"));
    EXPECT_THAT(refusal(kVolumes, "/data/../etc"), HasSubstr(".."));
    EXPECT_THAT(refusal(kVolumes, "data/x"), HasSubstr("not an absolute path"));
    EXPECT_THAT(refusal(kVolumes, "/\x1b[2J"), HasSubstr("\\x1b"));
}

TEST(VolumePath, WhatDeployPrints) {
    const auto volumes =
        volume_folders(R"({"vols":[{"name":"volumes/v1","path":"/a"},{"name":"../up","path":"/b"},{"name":"x"},5]})", "/w");
    ASSERT_EQ(volumes.size(), 1u);
    EXPECT_EQ(volumes[0].guest, "/a");
    EXPECT_EQ(volumes[0].host, "/w/volumes/v1");
    EXPECT_TRUE(volume_folders("no JSON", "/w").empty());
    EXPECT_TRUE(volume_folders(R"({"vols":"none"})", "/w").empty());
}

}  // namespace
}  // namespace dbg
