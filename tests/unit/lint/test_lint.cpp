#include "lint/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/fd.h"
#include "base/hash.h"
#include "convert/convert.h"
#include "gvmi/image.h"
#include "tar_builder.h"

namespace {

using lint::Finding;
using nlohmann::json;
using test::Entry;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The start of a program for a processor, with a dynamic linker or without.
std::string elf(char machine, const std::string& interpreter = "") {
    std::string bytes(64 + 56, '\0');
    bytes.replace(0, 5,
                  "\x7f"
                  "ELF\2");
    bytes[18] = machine;
    bytes[32] = 64;  // where the program headers are
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64] = interpreter.empty() ? 1 : 3;
    bytes[64 + 8] = static_cast<char>(bytes.size());
    return bytes + interpreter + '\0';
}

const std::vector<Entry> kGood = {
    {.path = "bin/sh", .content = elf(62), .mode = 0755},
    {.path = "etc/passwd", .content = "root:x:0:0::/:/bin/sh\nguest:x:1:1::/:/bin/sh\n"},
    {.path = "etc/group", .content = "root:x:0:\nstaff:x:5:\n"},
};
const json kGoodConfig = {{"Volumes", {{"/golem/work", json::object()}}}};

std::vector<Finding> findings(const std::vector<Entry>& entries, const json& config, const std::set<std::string>& off = {}) {
    const std::string tar = test::make_tar(entries);
    oci::Image image;
    oci::Layer layer;
    layer.open_blob = [tar] { return test::stream_of(tar); };
    layer.diff_id = base::sha256_hex(std::as_bytes(std::span(tar)));
    image.layers.push_back(layer);
    const base::UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
    const convert::Summary summary = convert::convert(image, config, fd.get(), "image", {});
    gvmi::SquashfsReader reader(fd.get());
    std::vector<Finding> found = lint::lint(reader, gvmi::parse_config(config), summary.file_bytes, {}, off);
    for (const Finding& finding : found)
        EXPECT_THAT(lint::rule_ids(), testing::Contains(finding.id));
    return found;
}

std::vector<std::string> ids(const std::vector<Finding>& list) {
    std::vector<std::string> result;
    result.reserve(list.size());
    for (const Finding& finding : list)
        result.push_back(finding.id);
    return result;
}

std::vector<std::string> ids(std::vector<Entry> more, const json& config = json::object()) {
    std::vector<Entry> entries = kGood;
    entries.insert(entries.end(), more.begin(), more.end());
    json whole = kGoodConfig;
    whole.update(config);
    return ids(findings(entries, whole, {"download-time"}));
}

std::string reason(std::vector<Entry> more, const json& config, const std::string& id) {
    std::vector<Entry> entries = kGood;
    entries.insert(entries.end(), more.begin(), more.end());
    json whole = kGoodConfig;
    whole.update(config);
    for (const Finding& finding : findings(entries, whole)) {
        if (finding.id == id) return finding.reason;
    }
    return {};
}

TEST(Lint, HasNothingToSayOfAGoodImage) {
    EXPECT_THAT(ids({}, json::object()), IsEmpty());
}

TEST(Lint, MissesAVolumeAndAShell) {
    EXPECT_THAT(ids(findings({{.path = "a"}}, json::object())), ElementsAre("no-volume", "no-shell", "download-time"));
    EXPECT_THAT(ids(findings({{.path = "a"}}, json::object(), {"no-volume", "download-time"})), ElementsAre("no-shell"));
}

TEST(Lint, ListsWhatAVolumeHides) {
    std::vector<Entry> entries = kGood;
    for (size_t i = 0; i < 9; i++)
        entries.push_back({.path = "golem/work/file" + std::to_string(i), .content = std::string(i * 1000, 'x')});
    entries.push_back({.path = "golem/workshop"});
    const auto list = findings(entries, kGoodConfig, {"download-time"});
    ASSERT_THAT(ids(list), ElementsAre("hidden-by-volume"));
    EXPECT_THAT(list[0].reason, HasSubstr("9 files (35.2 KiB)"));
    EXPECT_EQ(list[0].paths.size(), 5u);
    EXPECT_EQ(list[0].paths[0], "/golem/work/file8 (7.8 KiB)");
}

TEST(Lint, CountsAFileForTheInnermostVolume) {
    std::vector<Entry> entries = kGood;
    for (const char* path : {"golem/work/a", "golem/work/in/b", "golem/work/in/c", "golem/work/z"})
        entries.push_back({.path = path});
    json config = kGoodConfig;
    config["Volumes"]["/golem/work/in"] = json::object();
    const auto list = findings(entries, config, {"download-time"});
    ASSERT_THAT(ids(list), ElementsAre("hidden-by-volume", "hidden-by-volume"));
    EXPECT_THAT(list[0].reason, HasSubstr("2 files (0 B) below the volume \"/golem/work\""));
    EXPECT_THAT(list[1].reason, HasSubstr("2 files (0 B) below the volume \"/golem/work/in\""));
}

// If each file were compared with each volume, or each folder of PATH were looked up, this would take minutes.
TEST(Lint, AnyNumberOfVolumesAndFoldersInPath) {
    std::vector<Entry> entries = kGood;
    json config = kGoodConfig;
    std::string path = "PATH=/nowhere";
    for (int i = 0; i < 50000; i++) {
        entries.push_back({.path = "many/" + std::to_string(i)});
        config["Volumes"]["/v" + std::to_string(i)] = json::object();
        path += ":many";
    }
    config["Env"] = {path};
    config["Cmd"] = {"missing"};
    EXPECT_THAT(ids(findings(entries, config, {"download-time"})), ElementsAre("program"));
}

TEST(Lint, LooksForTheProgram) {
    const auto program = [](const char* key, const json& argv, const std::vector<Entry>& more) {
        return reason(more, {{key, argv}}, "program");
    };
    EXPECT_THAT(program("Cmd", {"/missing"}, {}), HasSubstr("is not in the image"));
    EXPECT_THAT(program("Cmd", {"missing"}, {}), HasSubstr("is not in the image's PATH"));
    EXPECT_EQ(program("Cmd", {"sh"}, {}), "");
    EXPECT_THAT(program("Entrypoint", {"/run"}, {{.path = "run", .mode = 0644}}), HasSubstr("is not an executable file"));
    EXPECT_THAT(program("Entrypoint", {"/run"}, {{.path = "run", .content = elf('\xb7'), .mode = 0755}}),
                HasSubstr("for another processor"));
    EXPECT_THAT(program("Entrypoint", {"/run"}, {{.path = "run", .content = elf(62, "/lib/ld.so"), .mode = 0755}}),
                HasSubstr("dynamic linker"));
    EXPECT_THAT(program("Entrypoint", {"/run"}, {{.path = "run", .content = "#! /no/python -u\n", .mode = 0755}}),
                HasSubstr("the interpreter of"));
    EXPECT_EQ(program("Entrypoint", {"/run"}, {{.path = "run", .content = "#!/bin/sh\n", .mode = 0755}}), "");
    EXPECT_THAT(program("Entrypoint", {"/run"}, {{.path = "run", .content = "#!/run\n", .mode = 0755}}), "");  // ends, as in Linux
    EXPECT_THAT(program("Entrypoint", {"/run"}, {{.path = "run", .content = "text", .mode = 0755}}), HasSubstr("neither an ELF program"));
    const auto script = [&program](const std::string& content) {
        return program("Entrypoint", {"/run"},
                       {{.path = "run", .content = content, .mode = 0755}, {.path = "bin/env", .content = elf(62), .mode = 0755}});
    };
    EXPECT_EQ(script("#!/bin/sh\r\n"), "the interpreter of \"/run\", \"/bin/sh\\x0d\", is not in the image");
    EXPECT_EQ(script("#!/bin/env python3\n"), "the interpreter of \"/run\", \"python3\", is not in the image's PATH");
    EXPECT_EQ(script("#!/bin/env -S python3 -u\n"), "the interpreter of \"/run\", \"python3\", is not in the image's PATH");
    EXPECT_EQ(script("#!/bin/env sh\n"), "");
    EXPECT_EQ(script("#!/bin/env sh\r\n"), "the interpreter of \"/run\", \"sh\\x0d\", is not in the image's PATH");
    EXPECT_EQ(script("#!/bin/env sh -e\n"), "the interpreter of \"/run\", \"sh -e\", is not in the image's PATH");
    EXPECT_EQ(script("#!/bin/env -S A=b sh -e\n"), "");
    EXPECT_THAT(program("Entrypoint", {"/run"},
                        {{.path = "run",
                          .content = "\x7f"
                                     "ELF",
                          .mode = 0755}}),
                HasSubstr("another processor"));
}

TEST(Lint, LooksForTheUser) {
    for (const char* user : {"guest", "guest:staff", "0:0", "4242", "", "guest:7"})
        EXPECT_THAT(ids({}, {{"User", user}}), IsEmpty()) << user;
    for (const char* user : {"nobody", "guest:wheel", "gues"})
        EXPECT_THAT(ids({}, {{"User", user}}), ElementsAre("user")) << user;
}

TEST(Lint, TellsWhatHasNoEffect) {
    EXPECT_THAT(ids({}, {{"Healthcheck", {{"Test", {"NONE"}}}},
                         {"ExposedPorts", {{"80/tcp", json::object()}}},
                         {"WorkingDir", "/made"},
                         {"Entrypoint", {"sh"}}}),
                ElementsAre("entrypoint", "working-dir", "healthcheck", "expose"));
}

TEST(Lint, FindsCachesAndSecrets) {
    const std::string large(2 << 20, 'x');
    EXPECT_THAT(ids({{.path = "var/lib/apt/lists/x", .content = large}}), ElementsAre("cache"));
    EXPECT_THAT(ids({{.path = "home/u/.cache/pip/x", .content = large}}), ElementsAre("cache"));
    EXPECT_THAT(ids({{.path = "var/lib/apt/lists/x", .content = "small"}}), IsEmpty());
    for (const char* path : {"root/.ssh/id_rsa", "app/.env", "app/.git/HEAD", "root/.aws/credentials", "etc/privkey.pem"})
        EXPECT_THAT(ids({{.path = path}}), ElementsAre("secret")) << path;
    for (const char* path : {"etc/ssl/certs/ca.pem", "usr/share/environment", "app/.gitignore", "root/.ssh/id_rsa.pub"})
        EXPECT_THAT(ids({{.path = path}}), IsEmpty()) << path;
}

}  // namespace
