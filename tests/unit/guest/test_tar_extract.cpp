#include <sys/xattr.h>

#include "base/subprocess.h"
#include "copy_fixture.h"
#include "tar_builder.h"

namespace copy_test {
namespace {

using test::Entry;
using testing::HasSubstr;
using testing::StartsWith;

// An entry that belongs to the test's user, who need not be root.
Entry own(Entry entry) {
    entry.uid = ::getuid();
    entry.gid = ::getgid();
    return entry;
}

Entry folder(const std::string& path) {
    return own({.path = path, .type = '5', .mode = 0755});
}

Entry file(const std::string& path, const std::string& content = "new") {
    return own({.path = path, .content = content});
}

Entry symlink(const std::string& path, const std::string& target) {
    return own({.path = path, .type = '2', .target = target, .mode = 0777});
}

Entry hard_link(const std::string& path, const std::string& target) {
    return own({.path = path, .type = '1', .target = target});
}

std::string tar(const std::vector<Entry>& entries) {
    return test::make_tar(entries);
}

TEST_F(Copy, FilesGoWhereDockerPutsThem) {
    const fs::path to = work_ / "to";
    EXPECT_EQ(extract(tar({file("f")}), to, "f"), "");
    EXPECT_EQ(content_of(to / "f"), "new") << "below a folder";
    EXPECT_EQ(extract(tar({file("f", "newer")}), to / "g", "f"), "");
    EXPECT_EQ(content_of(to / "g"), "newer") << "by a name of its own";
    EXPECT_EQ(extract(tar({file("f", "newest")}), to / "g", "f"), "");
    EXPECT_EQ(content_of(to / "g"), "newest") << "in place of a file";
    EXPECT_EQ(extract(tar({folder("d"), file("d/x")}), to / "e", "d"), "");
    EXPECT_EQ(content_of(to / "e/x"), "new") << "a folder by a name of its own";
    EXPECT_EQ(extract(tar({folder("d"), file("d/x")}), to / "e", "d"), "");
    EXPECT_EQ(content_of(to / "e/d/x"), "new") << "a folder below a folder";
    EXPECT_EQ(extract(tar({folder("."), file("./y")}), to / "e", "."), "");
    EXPECT_EQ(content_of(to / "e/y"), "new") << "what a folder holds";
    EXPECT_EQ(extract(tar({folder("./"), file("./y")}), to / "made", "."), "");
    EXPECT_EQ(content_of(to / "made/y"), "new") << "into a folder that is made";
    fs::create_symlink("e", to / "link");
    EXPECT_EQ(extract(tar({file("z")}), to / "link", "z"), "");
    EXPECT_EQ(content_of(to / "e/z"), "new") << "through a link";
}

TEST_F(Copy, WhereFilesCannotGoIsAnError) {
    const fs::path to = work_ / "to";
    fs::create_directories(to / "folder/f");
    std::ofstream(to / "file") << "old";
    const auto error = [&](const std::string& path, const std::string& name, const std::vector<Entry>& entries) {
        return extract(tar(entries), path, name);
    };
    EXPECT_EQ(error(to / "none/f", "f", {file("f")}), (to / "none/f").string() + ": No such file or directory");
    EXPECT_EQ(error(to / "none/", "f", {file("f")}), (to / "none/").string() + ": No such file or directory");
    EXPECT_EQ(error(to / "file/", "f", {file("f")}), (to / "file/").string() + ": Not a directory");
    EXPECT_EQ(error(to / "file", ".", {folder("."), file("./f")}), (to / "file").string() + ": Not a directory");
    EXPECT_EQ(error(to / "file", "d", {folder("d"), file("d/f")}), "file: is there, and is no folder");
    EXPECT_EQ(error(to / "folder", "f", {file("f")}), "f: a folder is there, and is not replaced");
    EXPECT_THAT(error(to, "a/b", {file("a/b")}), HasSubstr("is not a name"));
    EXPECT_THAT(error("to", "f", {file("f")}), HasSubstr("is not absolute"));
    EXPECT_EQ(content_of(to / "file"), "old");
    EXPECT_TRUE(fs::is_directory(to / "folder/f"));
}

TEST_F(Copy, AttributesAreTheTars) {
    const fs::path to = work_ / "to";
    Entry plain = file("d/f");
    plain.mode = 04711;
    plain.pax = {{"mtime", "1234567890.123456789"}, {"SCHILY.xattr.user.key", "value"}};
    Entry above = folder("d");
    above.mode = 02750;
    above.mtime = 1000000000;
    Entry link = symlink("d/l", "nowhere");
    link.mtime = 1100000000;
    Entry fifo = own({.path = "d/p", .type = '6', .mode = 0622});
    EXPECT_EQ(extract(tar({above, plain, link, fifo}), to, "d"), "");
    struct stat st = stat_of(to / "d/f");
    EXPECT_EQ(st.st_mode, S_IFREG | 04711U);
    EXPECT_EQ(st.st_mtim.tv_sec, 1234567890);
    EXPECT_EQ(st.st_mtim.tv_nsec, 123456789);
    char value[10];
    if (messages_.empty()) {
        EXPECT_EQ(::getxattr((to / "d/f").c_str(), "user.key", value, sizeof value), 5);
    }
    st = stat_of(to / "d");
    EXPECT_EQ(st.st_mode, S_IFDIR | 02750U);
    EXPECT_EQ(st.st_mtim.tv_sec, 1000000000) << "set when nothing more is put into it";
    EXPECT_EQ(stat_of(to / "d/l").st_mtim.tv_sec, 1100000000);
    EXPECT_EQ(stat_of(to / "d/p").st_mode, S_IFIFO | 0622U);

    fs::permissions(to, fs::perms(0711));
    EXPECT_EQ(extract(tar({above, folder("./")}), to, "."), "");
    EXPECT_EQ(stat_of(to).st_mode & 07777, 0711U) << "the target's are its own";
}

TEST_F(Copy, AFileInUseIsReplacedAndNotChanged) {
    const fs::path to = work_ / "to";
    std::ofstream(to / "f") << "old";
    std::ifstream open(to / "f");
    EXPECT_EQ(extract(tar({file("f", "new one")}), to, "f"), "");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(open), {}), "old");
    EXPECT_EQ(content_of(to / "f"), "new one");
}

TEST_F(Copy, HardLinksStayLinks) {
    const fs::path to = work_ / "to";
    const std::vector<Entry> entries = {folder("d"), file("d/a"), folder("d/e"), hard_link("d/e/b", "d/a")};
    EXPECT_EQ(extract(tar(entries), to / "other", "d"), "");
    EXPECT_EQ(stat_of(to / "other/a").st_ino, stat_of(to / "other/e/b").st_ino);
    EXPECT_EQ(extract(tar({hard_link("d/e/b", "d/a")}), to / "other/.", "d"), "d/a: No such file or directory");
    EXPECT_EQ(extract(tar({file("d"), hard_link("d", "d")}), to, "d"), "");
    EXPECT_EQ(content_of(to / "d"), "new") << "a link to itself";
    EXPECT_EQ(extract(tar({hard_link("f", "f")}), to, "f"), "f: No such file or directory");
    std::ofstream(to / "outside") << "old";
    EXPECT_THAT(extract(tar({file("f"), hard_link("f", "outside")}), to, "f"), HasSubstr("not below f"));
}

// Zero bytes are written as holes, and holes of GNU's format are read.
TEST_F(Copy, SparseFilesComeOutWhole) {
    const fs::path sparse = work_ / "sparse";
    std::ofstream(sparse) << "start";
    fs::resize_file(sparse, 5 << 20);
    std::ofstream(sparse, std::ios::app) << "end";
    EXPECT_EQ(extract(create(sparse), work_ / "to", "sparse"), "");
    EXPECT_TRUE(content_of(work_ / "to/sparse") == content_of(sparse));
    EXPECT_LT(stat_of(work_ / "to/sparse").st_blocks * 512, 1 << 20);
    ASSERT_EQ(base::run({"tar", "-C", work_, "--sparse", "--format=pax", "-cf", work_ / "gnu.tar", "sparse"}).code, 0);
    EXPECT_EQ(extract(content_of(work_ / "gnu.tar"), work_ / "to/again", "sparse"), "");
    EXPECT_TRUE(content_of(work_ / "to/again") == content_of(sparse));
}

TEST_F(Copy, NothingLeavesTheTarget) {
    const fs::path to = work_ / "to";
    fs::create_directory(work_ / "outside");
    std::ofstream(work_ / "outside/kept") << "old";
    fs::create_symlink("../outside", to / "out");
    fs::create_symlink((work_ / "outside").string(), to / "out-absolute");
    const std::vector<std::vector<Entry>> hostile = {
        {file("../outside/f")},
        {file("a/../../outside/f")},
        {file("/tmp/copy-test-hostile")},
        {file((work_ / "outside/f").string())},
        {file("out/f")},
        {file("out-absolute/f")},
        {folder("out/d")},
        {symlink("l", ".."), file("l/outside/f")},
        {symlink("l", (work_ / "outside").string()), file("l/f")},
        {folder("a"), symlink("a/l", "../../outside"), folder("a/l"), file("a/l/f")},
        {symlink("l", "/proc/self/root"), file("l/f")},
        {hard_link("f", "out/kept"), file("f")},
        {hard_link("f", "../outside/kept")},
    };
    for (const auto& entries : hostile) {
        EXPECT_NE(extract(tar(entries), to, "."), "") << entries.back().path << " " << entries.back().target;
        EXPECT_EQ(std::distance(fs::directory_iterator(work_ / "outside"), {}), 1) << entries.back().path;
        EXPECT_EQ(content_of(work_ / "outside/kept"), "old");
        EXPECT_EQ(stat_of(work_ / "outside/kept").st_nlink, 1U);
        fs::remove(to / "l");
    }
    // A link is replaced by a file, and what it led to stays.
    fs::create_symlink("../outside/kept", to / "f");
    EXPECT_EQ(extract(tar({file("f")}), to, "f"), "");
    EXPECT_EQ(content_of(work_ / "outside/kept"), "old");
    EXPECT_FALSE(fs::is_symlink(to / "f"));
}

// As in a root whose bin leads to usr/bin.
TEST_F(Copy, ALinkToAFolderInTheTargetIsFollowed) {
    const fs::path to = work_ / "to";
    fs::create_directories(to / "usr/bin");
    fs::permissions(to / "usr/bin", fs::perms(0711));
    fs::create_symlink("usr/bin", to / "bin");
    EXPECT_EQ(extract(tar({folder("bin"), file("bin/f")}), to, "."), "");
    EXPECT_EQ(content_of(to / "usr/bin/f"), "new");
    EXPECT_TRUE(fs::is_symlink(to / "bin"));
    EXPECT_EQ(stat_of(to / "usr/bin").st_mode & 07777, 0711U) << "it keeps its own";
}

TEST_F(Copy, ADamagedTarIsAnErrorAndLeavesNoPartOfAFile) {
    const fs::path to = work_ / "to";
    const std::string whole = tar({folder("."), file("./first", std::string(2000, 'x')), file("./second", std::string(3000, 'y'))});
    for (size_t size = 0; size + 1024 < whole.size(); size += 100) {
        EXPECT_NE(extract(whole.substr(0, size), to, "."), "") << size << " bytes of " << whole.size();
        for (const auto& entry : fs::directory_iterator(to))
            EXPECT_THAT(entry.path().filename().string(), testing::AnyOf("first", "second"));
        if (fs::exists(to / "second")) {
            EXPECT_EQ(fs::file_size(to / "second"), 3000U);
        }
    }
    EXPECT_EQ(extract(whole, to, "."), "");
    std::string garbage;
    for (unsigned i = 0; i < 100'000; i++)
        garbage += static_cast<char>(i * i >> 3);
    EXPECT_THAT(extract(garbage, to, "."), StartsWith("the tar is damaged"));
    EXPECT_EQ(extract(whole.substr(0, whole.size() - 1024) + garbage, to, ".").substr(0, 11), "the tar is ");
    EXPECT_EQ(extract(whole + std::string(200'000, 'z'), to, "."), "") << "what follows the end is dropped";
}

TEST_F(Copy, WhatComesOutIsWhatWentIn) {
    const fs::path tree = make_tree();
    EXPECT_EQ(extract(create(tree), work_ / "to", "tree"), "");
    const auto compared = base::run({"diff", "-r", "--no-dereference", tree, work_ / "to/tree"});
    EXPECT_EQ(compared.code, 0) << compared.output;
    EXPECT_EQ(create(tree), create(work_ / "to/tree")) << "folders' times, too";
}

}  // namespace
}  // namespace copy_test
