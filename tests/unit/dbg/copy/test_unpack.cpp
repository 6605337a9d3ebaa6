#include "dbg/copy/unpack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/fd.h"
#include "base/temporary_folder.h"
#include "tar_builder.h"

namespace {

namespace fs = std::filesystem;
using test::Entry;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Unpack : public testing::Test {
protected:
    dbg::Unpacked unpack(const std::vector<Entry>& entries, const std::string& name = "d", const dbg::UnpackOptions& options = {}) {
        return dbg::unpack(test::stream_of(test::make_tar(entries)), name, inside, "made", options);
    }
    void expect_error(const std::vector<Entry>& entries, const std::string& text, const dbg::UnpackOptions& options = {}) {
        EXPECT_THAT([&] { unpack(entries, "d", options); }, ThrowsMessage<base::Error>(HasSubstr(text)));
        EXPECT_THAT(outside(), ElementsAre("inside", "victim"));
        EXPECT_EQ(base::read_file(folder.path() / "victim", 100), "untouched");
        fs::remove_all(inside);
        fs::create_directory(inside);
    }
    std::vector<std::string> outside() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(folder.path()))
            names.push_back(entry.path().filename());
        std::sort(names.begin(), names.end());
        return names;
    }
    mode_t mode(const std::string& name) const {
        struct stat status {};
        EXPECT_EQ(::lstat((inside / name).c_str(), &status), 0) << name;
        return status.st_mode;
    }
    std::string text(const std::string& name) const { return base::read_file(inside / name, 1 << 20); }
    void SetUp() override {
        fs::create_directory(inside);
        std::ofstream(folder.path() / "victim") << "untouched";
    }

    base::TemporaryFolder folder;
    fs::path inside = folder.path() / "inside";
};

TEST_F(Unpack, MakesFilesFoldersAndLinks) {
    const fs::path before = fs::current_path();
    const dbg::Unpacked result = unpack({{.path = "d/", .type = '5', .mode = 0500, .mtime = 86400},
                                         {.path = "d/with blank", .content = "hello", .mode = 04751, .uid = 12345, .mtime = 1000},
                                         {.path = "d/żółw", .content = "x"},
                                         {.path = "d/link", .type = '2', .target = "/etc/passwd"},
                                         {.path = "d/hard", .type = '1', .target = "d/with blank"},
                                         {.path = "d/pipe", .type = '6', .mode = 0600}});
    EXPECT_TRUE(result.folder);
    EXPECT_EQ(result.bytes, 6u);
    EXPECT_EQ(result.devices_left_out, 0u);
    EXPECT_EQ(mode("made"), S_IFDIR | 0500u);
    EXPECT_EQ(mode("made/with blank"), S_IFREG | 0751u);
    EXPECT_EQ(text("made/with blank"), "hello");
    EXPECT_EQ(text("made/żółw"), "x");
    EXPECT_EQ(fs::read_symlink(inside / "made/link"), "/etc/passwd");
    EXPECT_EQ(fs::hard_link_count(inside / "made/hard"), 2u);
    EXPECT_TRUE(S_ISFIFO(mode("made/pipe")));
    struct stat status {};
    ASSERT_EQ(::stat((inside / "made/with blank").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, ::geteuid());
    EXPECT_EQ(status.st_mtime, 1000);
    EXPECT_EQ(fs::current_path(), before);
}

TEST_F(Unpack, ASingleFileOrLink) {
    EXPECT_FALSE(unpack({{.path = "d", .content = "x"}}).folder);
    EXPECT_EQ(text("made"), "x");
    fs::remove(inside / "made");
    EXPECT_EQ(unpack({{.path = "d", .type = '2', .target = "elsewhere"}}).link, "elsewhere");
    EXPECT_TRUE(fs::is_symlink(inside / "made"));
}

TEST_F(Unpack, TheContentOfAFolder) {
    EXPECT_TRUE(unpack({{.path = "./", .type = '5', .mode = 0755}, {.path = "./a/b", .content = "x"}}, ".").folder);
    EXPECT_EQ(text("made/a/b"), "x");
}

TEST_F(Unpack, WritesNothingElsewhere) {
    expect_error({{.path = "d/../../victim", .content = "bad"}}, "it was not asked for");
    expect_error({{.path = "/victim", .content = "bad"}}, "it was not asked for");
    expect_error({{.path = "other", .content = "bad"}}, "it was not asked for");
    expect_error({{.path = (folder.path() / "victim").string(), .content = "bad"}}, "it was not asked for");
    expect_error({{.path = "d/" + std::string(5000, 'x')}}, "it was not asked for");
    expect_error(
        {{.path = "d/", .type = '5'}, {.path = "d/link", .type = '2', .target = "../.."}, {.path = "d/link/victim", .content = "bad"}},
        "symlink");
    expect_error({{.path = "d", .type = '2', .target = ".."}, {.path = "d/victim", .content = "bad"}}, "symlink");
    expect_error({{.path = "d/", .type = '5'}, {.path = "d/h", .type = '1', .target = "../victim"}}, "it was not asked for");
    expect_error({{.path = "d/", .type = '5'},
                  {.path = "d/link", .type = '2', .target = "../.."},
                  {.path = "d/h", .type = '1', .target = "d/link/victim"},
                  {.path = "d/h", .content = "bad"}},
                 "symlink");
}

TEST_F(Unpack, MakesNoDevices) {
    const dbg::Unpacked result = unpack({{.path = "d/", .type = '5', .mode = 0755},
                                         {.path = "d/null", .type = '3', .major = 1, .minor = 3},
                                         {.path = "d/again", .type = '1', .target = "d/null"},
                                         {.path = "d/disk", .type = '4', .major = 8}});
    EXPECT_EQ(result.devices_left_out, 3u);
    EXPECT_TRUE(fs::is_empty(inside / "made"));
}

TEST_F(Unpack, Refuses) {
    expect_error({}, "nothing was sent");
    expect_error({{.path = "d/", .type = '5'}}, "it is a folder", {.only_a_file = true});
    expect_error({{.path = "d", .content = "12345"}}, "more than 4 B of files", {.limit_bytes = 4});
    const std::string tar = test::make_tar({{.path = "d", .content = std::string(5000, 'x')}});
    EXPECT_THAT([&] { dbg::unpack(test::stream_of(tar.substr(0, 2000)), "d", inside, "made", {}); },
                ThrowsMessage<base::Error>(HasSubstr("Truncated")));
}

TEST_F(Unpack, KeepsOwnersForRoot) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file to another user";
    (void)unpack({{.path = "d", .content = "x", .mode = 04755, .uid = 12345, .gid = 7}}, "d", {.owners = true});
    struct stat status {};
    ASSERT_EQ(::stat((inside / "made").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 12345u);
    EXPECT_EQ(status.st_gid, 7u);
    EXPECT_EQ(mode("made"), S_IFREG | 04755u);
}

}  // namespace
