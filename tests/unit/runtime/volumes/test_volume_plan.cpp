#include "runtime/volumes/volume_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace {

using runtime::plan_volumes;
using runtime::Volume;
using runtime::VolumePlan;
using testing::HasSubstr;

constexpr uint64_t kRoot = 256 << 20;
constexpr uint64_t kMuch = uint64_t{100} << 40;

std::vector<std::string> paths(const VolumePlan& plan) {
    std::vector<std::string> result;
    result.reserve(plan.volumes.size());
    for (const Volume& volume : plan.volumes)
        result.push_back(volume.path);
    return result;
}

Volume only_volume(const std::string& override_json) {
    const VolumePlan plan = plan_volumes({}, override_json, kMuch);
    EXPECT_EQ(plan.volumes.size(), 1U);
    return plan.volumes.at(0);
}

void expect_refused(const std::string& override_json, const std::string& reason) {
    try {
        plan_volumes({}, override_json, kRoot);
        FAIL() << override_json;
    } catch (const base::Error& e) {
        EXPECT_THAT(e.what(), HasSubstr("--volume-override: "));
        EXPECT_THAT(e.what(), HasSubstr(reason));
    }
}

TEST(PlanVolumes, WithoutOverrideHasTheImagesVolumesAndADiskForTheRoot) {
    const VolumePlan plan = plan_volumes({"/a/b", "/a"}, "", kRoot);
    EXPECT_EQ(paths(plan), (std::vector<std::string>{"/a", "/a/b"}));
    EXPECT_EQ(plan.volumes[0].kind, Volume::Kind::host);
    EXPECT_THAT(plan.volumes[0].name,
                testing::MatchesRegex("volumes/vol-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    EXPECT_NE(plan.volumes[0].name, plan.volumes[1].name);
    EXPECT_EQ(plan.root.kind, Volume::Kind::storage);
    EXPECT_EQ(plan.root.bytes, kRoot);
}

TEST(PlanVolumes, AddsAndReplacesByTheOverride) {
    const VolumePlan plan = plan_volumes({"/in", "/out", "/tmp/x"},
                                         R"({"/out":{"ram":{"size":4096}},"/new/":{"host":{}},"//in":{"host":{}},
                                             "/disk":{"storage":{"size":"10.7 GB","preallocate":"1 mib","errors":"remount-ro"}}})",
                                         kMuch);
    ASSERT_EQ(paths(plan), (std::vector<std::string>{"/disk", "/in", "/new", "/out", "/tmp/x"}));
    EXPECT_EQ(plan.volumes[0].kind, Volume::Kind::storage);
    EXPECT_EQ(plan.volumes[0].bytes, 10'700'000'000U);
    EXPECT_EQ(plan.volumes[0].preallocate, 1U << 20);
    EXPECT_EQ(plan.volumes[0].errors, "remount-ro");
    EXPECT_EQ(plan.volumes[1].kind, Volume::Kind::host);
    EXPECT_EQ(plan.volumes[2].kind, Volume::Kind::host);
    EXPECT_EQ(plan.volumes[3].kind, Volume::Kind::ram);
    EXPECT_EQ(plan.volumes[3].bytes, 4096U);
}

TEST(PlanVolumes, EachFormOfTheRoot) {
    for (const char* root : {"/", "//", ""}) {
        const VolumePlan ram = plan_volumes({}, "{\"" + std::string(root) + "\":{\"ram\":{\"size\":\"1 GiB\"}}}", kRoot);
        EXPECT_EQ(ram.root.kind, Volume::Kind::ram);
        EXPECT_EQ(ram.root.bytes, 1U << 30);
        EXPECT_TRUE(ram.volumes.empty());
    }
    const VolumePlan storage = plan_volumes({}, R"({"/":{"storage":{"size":"2 GiB"}}})", kMuch);
    EXPECT_EQ(storage.root.kind, Volume::Kind::storage);
    EXPECT_EQ(storage.root.bytes, 2U << 30);
    expect_refused(R"({"/":{"host":{}}})", "the root cannot be a host volume");
}

TEST(PlanVolumes, AllDisksComeOutOfOneBudget) {
    constexpr uint64_t kGib = 1 << 30;
    const auto root = [](const std::string& override_json) { return plan_volumes({}, override_json, 10 * kGib).root.bytes; };
    const auto refusal = [](const std::string& override_json) -> std::string {
        try {
            plan_volumes({}, override_json, 10 * kGib);
        } catch (const base::Error& e) {
            return e.what();
        }
        return "none";
    };
    EXPECT_EQ(root(""), 10 * kGib);
    EXPECT_EQ(root(R"({"/a":{"ram":{"size":"64 GiB"}},"/b":{"host":{}}})"), 10 * kGib);
    EXPECT_EQ(root(R"({"/a":{"storage":{"size":"4 GiB"}},"/b":{"storage":{"size":"5 GiB"}}})"), kGib);
    EXPECT_EQ(root(R"({"/a":{"storage":{"size":"10 GiB"}}})"), runtime::kSmallestRoot);
    EXPECT_EQ(root(R"({"/a":{"storage":{"size":"6 GiB"}},"/":{"storage":{"size":"4 GiB"}}})"), 4 * kGib);
    EXPECT_EQ(root(R"({"/":{"storage":{"size":"10.8 GB"}}})"), 10'800'000'000U) << "10.05 GiB, rounded by the supervisor";
    EXPECT_EQ(refusal(R"({"/a":{"storage":{"size":"10 GiB"}},"/":{"ram":{"size":"1 GiB"}}})"), "none");
    EXPECT_THAT(refusal(R"({"/a":{"storage":{"size":"12 GiB"}}})"),
                HasSubstr("the storage volumes take 12.0 GiB and the root needs at least 16.0 MiB, of the storage agreed on, 10.0 GiB"));
    EXPECT_THAT(refusal(R"({"/a":{"storage":{"size":"6 GiB"}},"/":{"storage":{"size":"5 GiB"}}})"),
                HasSubstr("the storage volumes take 6.0 GiB and the root 5.0 GiB"));
    EXPECT_THAT(refusal(R"({"/a":{"storage":{"size":"11 GiB"}},"/":{"ram":{"size":"1 GiB"}}})"),
                HasSubstr("the storage volumes take 11.0 GiB, of"));
}

TEST(PlanVolumes, SizesInAllForms) {
    EXPECT_EQ(only_volume(R"({"/a":{"ram":{"size":1048576}}})").bytes, 1U << 20);
    EXPECT_EQ(only_volume(R"({"/a":{"ram":{"size":"1.5 kib"}}})").bytes, 1536U);
    EXPECT_EQ(only_volume(R"({"/a":{"ram":{"size":1e6}}})").bytes, 1'000'000U);
    EXPECT_EQ(only_volume(R"({"/a":{"storage":{"size":"1g","preallocate":null,"errors":null}}})").bytes, 1'000'000'000U);
}

TEST(PlanVolumes, RefusesWhatItCannotUnderstand) {
    expect_refused("[]", "not a JSON object");
    expect_refused("{", "not JSON");
    expect_refused(R"({"/a":{"host":{}})", "not JSON");
    expect_refused(R"({"/a":{}})", "host, ram and storage");
    expect_refused(R"({"/a":{"host":{},"ram":{"size":1}}})", "host, ram and storage");
    expect_refused(R"({"/a":{"disk":{}}})", "\"disk\" is not one of");
    expect_refused(R"({"/a":{"host":[]}})", "not an object");
    expect_refused(R"({"/a":{"host":{"size":1}}})", "unknown key \"size\"");
    expect_refused(R"({"/a":{"ram":{}}})", "size is missing");
    expect_refused(R"({"/a":{"ram":{"size":0}}})", "its size is 0");
    expect_refused(R"({"/a":{"ram":{"size":-1}}})", "not a size");
    expect_refused(R"({"/a":{"ram":{"size":[1]}}})", "neither a number nor a text");
    expect_refused(R"({"/a":{"ram":{"size":"big"}}})", "not a size");
    expect_refused(R"({"/a":{"storage":{"size":"17 TiB"}}})", "over 16.0 TiB");
    expect_refused(R"({"/a":{"storage":{"size":"1 MiB","preallocate":"2 MiB"}}})", "more than its size");
    expect_refused(R"({"/a":{"storage":{"size":"1 MiB","errors":"ignore"}}})", "errors is not one of");
    expect_refused(R"({"a":{"host":{}}})", "is not absolute");
    expect_refused(R"({"/a/../b":{"host":{}}})", "has \"..\" in it");
    expect_refused(R"({"/a":{"host":{}},"/a/":{"host":{}}})", "twice");
}

TEST(PlanVolumes, BoundsTheirNumber) {
    std::vector<std::string> many;
    many.reserve(257);
    for (int i = 0; i < 257; i++)
        many.push_back(std::string("/").append(std::to_string(i)));
    EXPECT_THROW(plan_volumes(many, "", kRoot), base::Error);
    many.pop_back();
    EXPECT_EQ(plan_volumes(many, "", kRoot).volumes.size(), 256U);
}

TEST(MakeVolumes, MakesFoldersAndSparseDisks) {
    const base::TemporaryFolder folder;
    const VolumePlan plan =
        plan_volumes({"/in"}, R"({"/disk":{"storage":{"size":"64 MiB","preallocate":"8 MiB"}},"/ram":{"ram":{"size":1}}})", kRoot);
    make_volumes(plan, folder.path());
    EXPECT_TRUE(std::filesystem::is_directory(folder.path() / plan.volumes[1].name));
    struct stat root {};
    struct stat disk {};
    ASSERT_EQ(::stat((folder.path() / plan.root.name).c_str(), &root), 0);
    ASSERT_EQ(::stat((folder.path() / plan.volumes[0].name).c_str(), &disk), 0);
    EXPECT_EQ(root.st_size, static_cast<off_t>(kRoot - (64 << 20)));
    EXPECT_LT(root.st_blocks * 512, 16 << 20);
    EXPECT_EQ(disk.st_size, 64 << 20);
    EXPECT_GE(disk.st_blocks * 512, 8 << 20);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(MakeVolumes, RefusesAWorkdirWithoutUserAttributesOnlyForHostVolumes) {
    const std::filesystem::path workdir = "/dev/shm/gvmkit-test-" + std::to_string(::getpid());
    std::filesystem::create_directory(workdir);
    const bool has_attributes = ::setxattr(workdir.c_str(), "user.test", "1", 1, 0) == 0;
    const VolumePlan with_host = plan_volumes({"/in"}, "", kRoot);
    std::string refusal;
    try {
        make_volumes(with_host, workdir);
    } catch (const base::Error& e) {
        refusal = e.what();
    }
    EXPECT_NO_THROW(make_volumes(plan_volumes({}, R"({"/x":{"ram":{"size":1}}})", kRoot), workdir));
    std::filesystem::remove_all(workdir);
    if (has_attributes) GTEST_SKIP() << "this kernel's tmpfs has user attributes";
    EXPECT_THAT(refusal, HasSubstr("without user extended attributes"));
}

}  // namespace
