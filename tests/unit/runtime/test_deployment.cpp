#include "runtime/deployment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using runtime::Options;
using testing::HasSubstr;

class DeploymentTest : public testing::Test {
protected:
    // An image that is enough for what a host looks at: a superblock and the trailer.
    fs::path image(const std::string& name, const json& config) {
        std::string file("hsqs");
        file.resize(96, '\0');
        file[28] = 4;   // version 4.0
        file[40] = 96;  // bytes_used
        fs::path path = folder.path() / name;
        std::ofstream(path, std::ios::binary) << file << gvmi::make_trailer(config);
        return path;
    }

    Options options(const fs::path& task_package) {
        Options result;
        result.workdir = folder.path() / "work";
        result.images = {task_package};
        return result;
    }

    static std::vector<std::string> files_below(const fs::path& path) {
        std::vector<std::string> names;
        for (const auto& entry : fs::recursive_directory_iterator(path))
            names.push_back(entry.path().string());
        return names;
    }

    base::TemporaryFolder folder;
};

TEST_F(DeploymentTest, AnswersAsTheSupervisorExpects) {
    Options wanted = options(image("a.gvmi", {{"Volumes", {{"/in", json::object()}, {"/out/", json::object()}}}}));
    wanted.volume_override = R"({"/ram":{"ram":{"size":4096}}})";
    const json answer = json::parse(runtime::deploy_answer(runtime::deploy(wanted)));
    EXPECT_EQ(answer["valid"], (json{{"Ok", ""}}));
    EXPECT_EQ(answer["startMode"], "blocking");
    EXPECT_EQ(answer.size(), 3U);
    ASSERT_EQ(answer["vols"].size(), 2U);
    EXPECT_EQ(answer["vols"][0]["path"], "/in");
    EXPECT_EQ(answer["vols"][1]["path"], "/out");
    for (const json& volume : answer["vols"])
        EXPECT_TRUE(fs::is_directory(wanted.workdir / volume["name"].get<std::string>()));
}

TEST_F(DeploymentTest, StartFindsWhatDeployDecided) {
    Options wanted = options(image("a.gvmi", {{"Volumes", {{"/in", json::object()}}}, {"User", "1000"}}));
    wanted.hostname = "box";
    wanted.volume_override = R"({"/disk":{"storage":{"size":"8 MiB","errors":"panic"}},"/":{"ram":{"size":"1 MiB"}}})";
    const runtime::Deployment made = runtime::deploy(wanted);
    const runtime::Deployment loaded = runtime::load_deployment(wanted.workdir);
    EXPECT_EQ(loaded.images, made.images);
    EXPECT_EQ(loaded.hostname, "box");
    EXPECT_EQ(loaded.volumes.root.kind, runtime::Volume::Kind::ram);
    EXPECT_EQ(loaded.volumes.root.bytes, 1U << 20);
    ASSERT_EQ(loaded.volumes.volumes.size(), 2U);
    EXPECT_EQ(loaded.volumes.volumes[0].path, "/disk");
    EXPECT_EQ(loaded.volumes.volumes[0].kind, runtime::Volume::Kind::storage);
    EXPECT_EQ(loaded.volumes.volumes[0].errors, "panic");
    EXPECT_EQ(loaded.volumes.volumes[1].name, made.volumes.volumes[1].name);
    EXPECT_EQ(runtime::read_config(loaded).user, "1000");
}

TEST_F(DeploymentTest, ASecondDeployStartsFresh) {
    const Options first = options(image("a.gvmi", {{"Volumes", {{"/in", json::object()}}}}));
    const runtime::Deployment before = runtime::deploy(first);
    std::ofstream(first.workdir / before.volumes.volumes[0].name / "data") << "x";
    std::ofstream(first.workdir / "not-ours") << "x";
    const runtime::Deployment after = runtime::deploy(first);
    EXPECT_FALSE(fs::exists(first.workdir / before.volumes.volumes[0].name));
    EXPECT_FALSE(fs::exists(first.workdir / before.volumes.root.name));
    EXPECT_TRUE(fs::is_empty(first.workdir / after.volumes.volumes[0].name));
    EXPECT_TRUE(fs::exists(first.workdir / "not-ours"));
}

TEST_F(DeploymentTest, ABadImageLeavesTheWorkdirAlone) {
    const Options good = options(image("a.gvmi", json::object()));
    runtime::deploy(good);
    const auto before = files_below(good.workdir);
    std::ofstream(folder.path() / "bad.gvmi") << "not an image";
    EXPECT_THROW(runtime::deploy(options(folder.path() / "bad.gvmi")), base::Error);
    EXPECT_THROW(runtime::deploy(options(folder.path() / "missing.gvmi")), base::Error);
    EXPECT_EQ(files_below(good.workdir), before);
}

TEST_F(DeploymentTest, AFailureLeavesNothingHalfMade) {
    Options wanted = options(image("a.gvmi", {{"Volumes", {{"/in", json::object()}}}}));
    wanted.volume_override = R"({"/disk":{"storage":{"size":1}}})";
    EXPECT_THROW(runtime::deploy(wanted), base::Error);
    EXPECT_TRUE(files_below(wanted.workdir).empty());
    EXPECT_THROW(runtime::load_deployment(wanted.workdir), base::Error);
}

TEST_F(DeploymentTest, RefusesBadHostNames) {
    Options wanted = options(image("a.gvmi", json::object()));
    for (const std::string& name : {std::string(), std::string("a b"), std::string("a\nb"), std::string(65, 'x')}) {
        wanted.hostname = name;
        EXPECT_THROW(runtime::deploy(wanted), base::Error) << name;
    }
}

TEST_F(DeploymentTest, SaysWhenNothingIsDeployed) {
    try {
        runtime::load_deployment(folder.path());
        FAIL();
    } catch (const base::Error& e) {
        EXPECT_THAT(e.what(), HasSubstr("nothing has been deployed in"));
    }
    std::ofstream(folder.path() / "deployment.json") << R"({"images":3})";
    EXPECT_THROW(runtime::load_deployment(folder.path()), base::Error);
}

TEST_F(DeploymentTest, BoundsTheNumberOfDisks) {
    Options wanted = options(image("a.gvmi", json::object()));
    json disks;
    wanted.storage_bytes = uint64_t{1} << 30;
    for (int i = 0; i < 31; i++)
        disks[std::string("/").append(std::to_string(i))] = {{"storage", {{"size", "8 MiB"}}}};
    wanted.volume_override = disks.dump();
    try {
        runtime::deploy(wanted);
        FAIL();
    } catch (const base::Error& e) {
        EXPECT_THAT(e.what(), HasSubstr("33 disks"));
    }
}

}  // namespace
