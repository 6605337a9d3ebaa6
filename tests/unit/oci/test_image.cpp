#include "oci/image.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "tar_builder.h"

namespace {

using nlohmann::json;

using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

using Files = std::map<std::string, std::string>;

class Image : public testing::Test {
protected:
    Image() {
        std::string name = testing::TempDir() + "image.XXXXXX";
        folder_ = ::mkdtemp(name.data());
    }
    ~Image() override { std::filesystem::remove_all(folder_); }

    std::string write(const std::string& name, const std::string& content) const {
        const std::filesystem::path path = folder_ / name;
        std::filesystem::create_directories(path.parent_path());
        base::write_all(base::open_file(path, O_WRONLY | O_CREAT | O_TRUNC).get(), content, name);
        return path.string();
    }

    std::string write_folder(const std::string& name, const Files& files) const {
        for (const auto& [path, content] : files)
            write(std::string(name).append("/").append(path), content);
        return (folder_ / name).string();
    }

    static std::string tar_of(const Files& files) {
        std::vector<test::Entry> entries;
        for (const auto& [path, content] : files)
            entries.push_back({.path = path, .content = content});
        return test::make_tar(entries);
    }

    std::string config_for(const std::vector<std::string>& tars, const json& more = json::object()) const {
        json config = {{"architecture", "amd64"}, {"os", "linux"}, {"config", {{"Cmd", {"sh"}}}}, {"rootfs", {{"type", "layers"}}}};
        config["rootfs"]["diff_ids"] = json::array();
        for (const std::string& tar : tars)
            config["rootfs"]["diff_ids"].push_back("sha256:" + test::sha256(tar));
        config.update(more);
        return config.dump();
    }

    Files docker_files(const std::string& config) const {
        const std::string id = test::sha256(config);
        return {{"manifest.json",
                 json::array(
                     {{{"Config", id + ".json"}, {"RepoTags", {"docker.io/library/app:1.0"}}, {"Layers", {"a/layer.tar", "b/layer.tar"}}}})
                     .dump()},
                {id + ".json", config},
                {"a/layer.tar", base_},
                {"b/layer.tar", test::compress("gzip", top_)}};
    }

    static json put_blob(Files& files, const std::string& content, const std::string& media_type) {
        files["blobs/sha256/" + test::sha256(content)] = content;
        return {{"mediaType", media_type}, {"digest", "sha256:" + test::sha256(content)}, {"size", content.size()}};
    }

    json put_manifest(Files& files, const std::string& config) const {
        json manifest = {{"schemaVersion", 2}};
        manifest["config"] = put_blob(files, config, "application/vnd.oci.image.config.v1+json");
        manifest["layers"] = {put_blob(files, test::compress("gzip", base_), "application/vnd.oci.image.layer.v1.tar+gzip"),
                              put_blob(files, test::compress("zstd", top_), "application/vnd.oci.image.layer.v1.tar+zstd")};
        return put_blob(files, manifest.dump(), "application/vnd.oci.image.manifest.v1+json");
    }

    Files oci_files() const {
        Files files = {{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"}};
        json descriptor = put_manifest(files, config_for({base_, top_}));
        descriptor["annotations"] = {{"org.opencontainers.image.ref.name", "2.0"}};
        files["index.json"] = json{{"schemaVersion", 2}, {"manifests", {descriptor}}}.dump();
        return files;
    }

    // The layers are the ones of the fixture.
    void expect_layers(const oci::Image& image) const {
        ASSERT_EQ(image.layers.size(), 2u);
        EXPECT_EQ(oci::read_all(*oci::open_layer(image.layers[0]), size_t{1} << 20), base_);
        EXPECT_EQ(oci::read_all(*oci::open_layer(image.layers[1]), size_t{1} << 20), top_);
        EXPECT_EQ(oci::read_all(*oci::open_unchecked_layer(image.layers[1]), size_t{1} << 20), top_);
    }

    static void expect_refused(const std::string& reference, const std::string& reason) {
        EXPECT_THAT([&reference] { oci::open_image(reference); }, ThrowsMessage<base::Error>(HasSubstr(reason))) << reference;
    }

    std::filesystem::path folder_;
    std::string base_ = test::make_tar({{.path = "a", .content = "1"}});
    std::string top_ = test::make_tar({{.path = "b", .content = "2"}});
};

TEST_F(Image, ReadsADockerArchive) {
    const std::string tar = tar_of(docker_files(config_for({base_, top_})));
    for (const std::string& path :
         {write("app.tar", tar), write("app.tar.gz", test::compress("gzip", tar)), write("app:1.tar.zst", test::compress("zstd", tar)),
          write_folder("app", docker_files(config_for({base_, top_})))}) {
        const oci::Image image = oci::open_image(path);
        EXPECT_EQ(image.name, "app") << path;
        EXPECT_EQ(image.tag, "1.0");
        EXPECT_EQ(image.id, test::sha256(config_for({base_, top_})));
        EXPECT_EQ(image.config["config"]["Cmd"][0], "sh");
        expect_layers(image);
    }
    EXPECT_EQ(oci::open_image("docker-archive:" + write("app.tar", tar)).name, "app");
    expect_refused("oci-archive:" + write("app.tar", tar), "not an OCI layout: it has no index.json");
}

TEST_F(Image, ReadsAnOciLayoutAndArchive) {
    for (const std::string& path :
         {write_folder("app", oci_files()), write("app.tar", tar_of(oci_files())), "oci:" + write_folder("app", oci_files()),
          "oci-archive:" + write("app.tar", tar_of(oci_files())), write_folder("app", oci_files()) + ":2.0"}) {
        const oci::Image image = oci::open_image(path);
        EXPECT_EQ(image.name, "app") << path;
        EXPECT_EQ(image.tag, "2.0");
        expect_layers(image);
    }
    expect_refused("docker-archive:" + write("app.tar", tar_of(oci_files())), "not a docker archive: it has no manifest.json");
}

// Docker 25 and newer.
TEST_F(Image, ReadsADockerArchiveOverAnOciLayout) {
    Files files = oci_files();
    const std::string config = config_for({base_, top_});
    files["manifest.json"] = json::array({{{"Config", "blobs/sha256/" + test::sha256(config)},
                                           {"RepoTags", {"me/app:3"}},
                                           {"Layers",
                                            {"blobs/sha256/" + test::sha256(test::compress("gzip", base_)),
                                             "blobs/sha256/" + test::sha256(test::compress("zstd", top_))}}}})
                                 .dump();
    const oci::Image image = oci::open_image(write("app.tar", tar_of(files)));
    EXPECT_EQ(image.name, "me/app");
    EXPECT_EQ(image.tag, "3");
    EXPECT_FALSE(image.layers[0].digest.empty());
    expect_layers(image);
}

// Older Docker stores a layer that is there twice as a symbolic link.
TEST_F(Image, FollowsLinksInsideTheArchive) {
    const std::string config = config_for({base_, base_});
    const Files files = docker_files(config);
    std::vector<test::Entry> entries;
    for (const auto& [path, content] : files) {
        if (path != "b/layer.tar") entries.push_back({.path = path, .content = content});
    }
    entries.push_back({.path = "b/layer.tar", .type = '2', .target = "../a/layer.tar"});
    const oci::Image image = oci::open_image(write("app.tar", test::make_tar(entries)));
    EXPECT_EQ(oci::read_all(*oci::open_layer(image.layers[1]), size_t{1} << 20), base_);
    entries.back().target = "layer.tar";  // itself
    expect_refused(write("app.tar", test::make_tar(entries)), "layer 2");
    entries.back().target = "../../../../etc/passwd";
    expect_refused(write("app.tar", test::make_tar(entries)), "b/layer.tar is missing");
}

TEST_F(Image, ChoosesThePlatform) {
    Files files = {};
    json arm = put_manifest(files, config_for({base_, top_}, {{"architecture", "arm64"}}));
    arm["platform"] = {{"os", "linux"}, {"architecture", "arm64"}};
    json amd = put_manifest(files, config_for({base_, top_}));
    amd["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
    json attestation = put_blob(files, "{}", "application/vnd.oci.image.manifest.v1+json");
    attestation["platform"] = {{"os", "unknown"}, {"architecture", "unknown"}};
    const json index = {{"schemaVersion", 2}, {"manifests", {arm, amd, attestation}}};
    json nested = put_blob(files, index.dump(), "application/vnd.oci.image.index.v1+json");
    nested["annotations"] = {{"org.opencontainers.image.ref.name", "docker.io/library/app:4"}};
    files["index.json"] = json{{"manifests", {nested}}}.dump();
    const oci::Image image = oci::open_image(write_folder("app", files));
    EXPECT_EQ(image.tag, "4");
    EXPECT_EQ(image.name, "app");
    expect_layers(image);

    files["index.json"] = json{{"manifests", {arm}}}.dump();
    expect_refused(write_folder("app", files), "there is no image for linux/amd64 in it");
    arm.erase("platform");
    files["index.json"] = json{{"manifests", {arm}}}.dump();
    expect_refused(write_folder("app", files), "the image is for linux/arm64, not for linux/amd64");
}

// The best fit counts, of equal ones the first; what is no image never.
TEST_F(Image, RanksVariantsOfThePlatform) {
    const auto chosen = [this](const std::vector<json>& platforms, const std::string& wanted = "linux/amd64") {
        Files files = {};
        json manifests = json::array();
        for (size_t i = 0; i < platforms.size(); i++) {
            manifests.push_back(put_manifest(files, config_for({base_, top_}, {{"author", std::to_string(i)}, {"architecture", nullptr}})));
            for (const auto& [key, value] : platforms[i].items())
                manifests.back()[key] = value;
        }
        files["index.json"] = json{{"manifests", manifests}}.dump();
        std::filesystem::remove_all(folder_ / "app");
        return oci::open_image(write_folder("app", files), {.platform = wanted}).config["author"].get<std::string>();
    };
    const auto platform = [](const char* architecture, const char* variant = nullptr) {
        json result = {{"platform", {{"os", "linux"}, {"architecture", architecture}}}};
        if (variant) result["platform"]["variant"] = variant;
        return result;
    };
    const json none = json::object();
    EXPECT_EQ(chosen({platform("amd64", "v2"), platform("amd64")}), "1");
    EXPECT_EQ(chosen({platform("amd64"), platform("amd64", "v2")}, "linux/amd64/v2"), "1");
    EXPECT_EQ(chosen({platform("amd64", "v3"), platform("amd64", "v2")}), "1") << "the lowest";
    EXPECT_EQ(chosen({platform("amd64", "v4"), platform("amd64", "v2")}, "linux/amd64/v3"), "1") << "what a v3 CPU runs";
    EXPECT_EQ(chosen({platform("amd64"), platform("amd64")}), "0");
    EXPECT_EQ(chosen({none, platform("amd64", "v3")}), "1") << "a stated platform comes before none";
    EXPECT_EQ(chosen({none, none}), "0");
    EXPECT_EQ(chosen({{{"artifactType", "application/vnd.dev.cosign.artifact.sig.v1+json"}}, none}), "1");
    EXPECT_EQ(chosen({{{"annotations", {{"vnd.docker.reference.type", "attestation-manifest"}}}}, none}), "1");
    EXPECT_EQ(chosen({platform("arm64"), platform("x86_64")}), "1");
    EXPECT_EQ(chosen({platform("AMD64", "v1")}), "0");
    EXPECT_EQ(chosen({platform("amd64"), platform("arm64", "v8")}, "linux/aarch64"), "1");
    EXPECT_EQ(chosen({platform("arm", "v6"), platform("arm", "7")}, "linux/arm"), "1");
    EXPECT_THROW(chosen({platform("amd64", "v4")}, "linux/amd64/v2"), base::Error);
    EXPECT_THAT([&] { chosen({none}, "linux"); }, ThrowsMessage<base::Error>(HasSubstr("\"linux\" is not a platform")));
}

// As Podman and skopeo: short names mean complete ones, a missing tag is latest, @N counts from 0.
TEST_F(Image, FindsAnImageByAShortNameOrItsPlace) {
    Files files = docker_files(config_for({base_, top_}));
    json manifests = json::parse(files["manifest.json"]);
    manifests.push_back(manifests[0]);
    manifests[1]["RepoTags"] = {"localhost/two:latest", "quay.io/three:3"};
    manifests.push_back(manifests[0]);
    manifests[2]["RepoTags"] = nullptr;
    files["manifest.json"] = manifests.dump();
    const std::string path = write("app.tar", tar_of(files));
    EXPECT_EQ(oci::open_image(path + ":app:1.0").tag, "1.0");
    EXPECT_EQ(oci::open_image(path + ":docker.io/library/app:1.0").name, "app");
    EXPECT_EQ(oci::open_image(path + ":two").tag, "latest");
    EXPECT_EQ(oci::open_image(path + ":two:latest").name, "two");
    EXPECT_EQ(oci::open_image(path + ":quay.io/three:3").name, "quay.io/three");
    EXPECT_EQ(oci::open_image(path + ":@0").tag, "1.0");
    EXPECT_EQ(oci::open_image(path + ":@1").name, "two");
    EXPECT_EQ(oci::open_image(path + ":@2").name, "app") << "after the file";
    expect_refused(path + ":@3",
                   "there is no image \"@3\" in it, only docker.io/library/app:1.0, localhost/two:latest, quay.io/three:3, @2");
    expect_refused(path + ":three:3", "there is no image");
    expect_refused(path, "several images are in it");

    json one = json::parse(oci_files()["index.json"])["manifests"][0];
    json two = one;
    two["annotations"]["org.opencontainers.image.ref.name"] = "docker.io/library/two:latest";
    files = oci_files();
    files["index.json"] = json{{"manifests", {one, two}}}.dump();
    const std::string layout = write_folder("layout", files);
    EXPECT_EQ(oci::open_image(layout + ":two").name, "two");
    EXPECT_EQ(oci::open_image(layout + ":@0").tag, "2.0");
    EXPECT_EQ(oci::open_image(layout + ":@1").name, "two");
}

TEST_F(Image, BoundsWhatArchivesAndLayersUnpackTo) {
    const std::string tar = tar_of(docker_files(config_for({base_, top_})));
    const std::string path = write("app.tar.gz", test::compress("gzip", tar));
    EXPECT_THAT([&] { oci::open_image(path, {.limit = 1000}); },
                ThrowsMessage<base::Error>(HasSubstr("it unpacks to more than 1000 B (--limit-gib)")));
    const oci::Image image = oci::open_image(write("app.tar", tar), {.limit = 1000});
    EXPECT_THAT([&] { oci::drain(*oci::open_layer(image.layers[1])); }, ThrowsMessage<base::Error>(HasSubstr("more than 1000 B")));
    EXPECT_THAT([&] { oci::open_image("rootfs:" + write("root.tar.gz", test::compress("gzip", base_)), {.limit = 1000}); },
                ThrowsMessage<base::Error>(HasSubstr("more than 1000 B")));
}

TEST_F(Image, BoundsTheNamesOfAnArchive) {
    std::vector<test::Entry> entries;
    entries.reserve(80);
    for (int i = 0; i < 80; i++)
        entries.push_back({.path = std::to_string(i) + std::string(900000, 'n')});
    const std::string path = write("names.tar", test::make_tar(entries));
    EXPECT_THAT([&] { oci::open_image(path); }, ThrowsMessage<base::Error>(HasSubstr("the archive has more than 64.0 MiB of file names")));
}

TEST_F(Image, AsksWhichOneIsMeant) {
    Files files = oci_files();
    json one = json::parse(files["index.json"])["manifests"][0];
    json two = one;
    two["annotations"]["org.opencontainers.image.ref.name"] = "3.0";
    files["index.json"] = json{{"manifests", {one, two}}}.dump();
    const std::string path = write_folder("app", files);
    expect_refused(path, "several images are in it; say which by :NAME behind the file: 2.0, 3.0");
    expect_refused(path + ":4.0", "there is no image \"4.0\" for linux/amd64 in it, only 2.0, 3.0");
    EXPECT_EQ(oci::open_image(path + ":3.0").tag, "3.0");

    files = docker_files(config_for({base_, top_}));
    json manifests = json::parse(files["manifest.json"]);
    manifests.push_back(manifests[0]);
    manifests[1]["RepoTags"] = {"other:2"};
    files["manifest.json"] = manifests.dump();
    const std::string tar = write("two.tar", tar_of(files));
    expect_refused(tar, "several images are in it");
    EXPECT_EQ(oci::open_image(tar + ":other:2").name, "other");
    expect_refused(tar + ":none", "there is no image \"none\" in it");
}

TEST_F(Image, ChecksDigests) {
    Files files = docker_files(config_for({base_, top_}));
    files["a/layer.tar"] = test::make_tar({{.path = "a", .content = "9"}});
    const oci::Image image = oci::open_image(write("app.tar", tar_of(files)));
    EXPECT_THAT([&image] { oci::drain(*oci::open_layer(image.layers[0])); },
                ThrowsMessage<base::Error>(StartsWith("its tar has the SHA-256")));

    files = docker_files(config_for({base_, top_}));
    for (auto& [path, content] : files) {
        if (path.ends_with(".json") && path != "manifest.json") content += " ";
    }
    expect_refused(write("app.tar", tar_of(files)), "it has the SHA-256");

    files = oci_files();
    const std::string packed = test::compress("gzip", base_);
    files["blobs/sha256/" + test::sha256(packed)] = test::compress("gzip -1 -n", base_) + "x";
    const oci::Image changed = oci::open_image(write_folder("app", files));
    EXPECT_THAT([&changed] { oci::drain(*oci::open_layer(changed.layers[0])); },
                ThrowsMessage<base::Error>(StartsWith("its blob has the SHA-256")));

    files = oci_files();
    files["blobs/sha256/" + test::sha256(config_for({base_, top_}))] += " ";
    expect_refused(write_folder("app", files), "has the SHA-256");
}

TEST_F(Image, RefusesWhatIsNoImage) {
    expect_refused("/nowhere/app.tar", "No such file");
    expect_refused(write("text", "hello"), "not a tar");
    expect_refused(write("empty", ""), "neither an image archive (no manifest.json or index.json) nor a root file system");
    expect_refused(write("other.tar", base_), "neither an image archive (no manifest.json or index.json) nor a root file system");
    expect_refused("/dev/null", "neither a file nor a folder");
    const std::pair<std::string, std::string> broken[] = {
        {"{", "manifest.json: not JSON"},
        {"{}", "manifest.json: not a list of images"},
        {"[]", "manifest.json: not a list of images"},
        {"[1]", "not a JSON object"},
        {R"([{"Config":1,"Layers":[]}])", "Config is not a text"},
        {R"([{"Config":"c","Layers":"l"}])", "Layers is not a list of texts"},
        {R"([{"Config":"c","Layers":[]}])", "c: missing"},
        {R"([{"Config":"manifest.json","Layers":[]}])", "not a JSON object"},
    };
    for (const auto& [manifest, reason] : broken)
        expect_refused(write("broken.tar", tar_of({{"manifest.json", manifest}})), reason);
    for (const char* index : {"{}", R"({"manifests":{}})", "[]"}) {
        expect_refused(write("broken.tar", tar_of({{"index.json", index}})), "the index has no list of manifests");
    }
    expect_refused(write("broken.tar", tar_of({{"index.json", R"({"manifests":[{"digest":"md5:1"}]})"}})),
                   "\"md5:1\" is not a SHA-256 digest");
    expect_refused(write("broken.tar", tar_of({{"index.json", R"({"manifests":[{"digest":"sha256:../../../x"}]})"}})),
                   "is not a SHA-256 digest");
}

TEST_F(Image, RefusesAConfigurationThatDoesNotFit) {
    expect_refused(write("app.tar", tar_of(docker_files(config_for({base_})))), "the configuration has 1 diff_ids for 2 layers");
    Files files = docker_files(config_for({base_, top_}));
    files.erase("a/layer.tar");
    expect_refused(write("app.tar", tar_of(files)), "layer 1 (sha256:");
    expect_refused(write("app.tar", tar_of(docker_files(config_for({base_, top_}, {{"rootfs", {{"diff_ids", {"x", "y"}}}}})))),
                   "\"x\" is not a SHA-256 digest");
    expect_refused(write("app.tar", tar_of(docker_files(config_for({base_, top_}, {{"os", "windows"}})))),
                   "the image is for windows/amd64");
}

}  // namespace
