#include "init/path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

namespace fs = std::filesystem;

class Path : public testing::Test {
protected:
    Path() {
        std::string pattern = (fs::temp_directory_path() / "path-test-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        outside_ = pattern;
        root_path_ = outside_ / "root";
        fs::create_directories(root_path_ / "a/b");
        fs::create_directories(outside_ / "secret");
        root_.reset(::open(root_path_.c_str(), O_PATH | O_DIRECTORY));
    }
    ~Path() override { fs::remove_all(outside_); }

    std::string resolve(std::string_view path) {
        const init::Result<std::string> result = init::resolve(root_.get(), path);
        return result.ok() ? result.value : "error: " + result.status.text;
    }
    void link(const char* target, const char* name) { fs::create_symlink(target, root_path_ / name); }

    fs::path outside_;
    fs::path root_path_;
    base::UniqueFd root_;
};

TEST_F(Path, PlainPathsAreMadeNormal) {
    EXPECT_EQ(resolve("/a/b"), "a/b");
    EXPECT_EQ(resolve("a//b/./"), "a/b");
    EXPECT_EQ(resolve("/"), ".");
    EXPECT_EQ(resolve(""), ".");
    EXPECT_EQ(resolve("/a/../a/b/.."), "a");
    EXPECT_EQ(resolve("/missing/deep"), "missing/deep");
}

TEST_F(Path, NothingLeadsOut) {
    link("../../secret", "up");
    link("/secret", "absolute");
    link("../../../..", "a/far");
    EXPECT_EQ(resolve("/../../secret"), "secret");
    EXPECT_EQ(resolve("/up/x"), "secret/x");
    EXPECT_EQ(resolve("/absolute"), "secret");
    EXPECT_EQ(resolve("/a/far/secret"), "secret");
}

TEST_F(Path, LinksAreFollowedInside) {
    link("/a", "to-a");
    link("b", "a/to-b");
    link("to-a/to-b", "both");
    link("missing", "dangling");
    EXPECT_EQ(resolve("/to-a/b"), "a/b");
    EXPECT_EQ(resolve("/both/c"), "a/b/c");
    EXPECT_EQ(resolve("/dangling/x"), "missing/x");
}

TEST_F(Path, LoopsAreErrors) {
    link("two", "one");
    link("one", "two");
    EXPECT_EQ(resolve("/one/x"), "error: cannot look up /one/x: Too many levels of symbolic links");
}

TEST_F(Path, MakesDirectoriesWhereLinksLead) {
    link("../../secret/new", "up");
    const init::Result<base::UniqueFd> made = init::make_directory(root_.get(), "/up/deep");
    ASSERT_TRUE(made.ok()) << made.status.text;
    EXPECT_TRUE(fs::is_directory(root_path_ / "secret/new/deep"));
    EXPECT_FALSE(fs::exists(outside_ / "secret/new"));
    struct stat st {};
    ASSERT_EQ(::fstat(made.value.get(), &st), 0);
    EXPECT_TRUE(S_ISDIR(st.st_mode));
    EXPECT_TRUE(init::make_directory(root_.get(), "/").ok());
}

TEST_F(Path, AFileInTheWayIsAnError) {
    std::ofstream(root_path_ / "file") << "x";
    EXPECT_EQ(init::make_directory(root_.get(), "/file").status.text, "cannot open the directory /file: Not a directory");
    EXPECT_EQ(init::make_directory(root_.get(), "/file/x").status.text, "cannot look up /file/x: Not a directory");
}

TEST_F(Path, ReadsRegularFilesOnly) {
    std::ofstream(root_path_ / "file") << "some text";
    std::ofstream(outside_ / "secret/file") << "not for the image";
    ASSERT_EQ(::mkfifo((root_path_ / "fifo").c_str(), 0600), 0);
    link("file", "link");
    link("../secret/file", "out");
    EXPECT_EQ(init::read_inside(root_.get(), "file", 100), "some text");
    EXPECT_EQ(init::read_inside(root_.get(), "link", 4), "some");
    EXPECT_EQ(init::read_inside(root_.get(), "out", 100), "");
    EXPECT_EQ(init::read_inside(root_.get(), "fifo", 100), "") << "and does not wait for a writer";
    EXPECT_EQ(init::read_inside(root_.get(), "a", 100), "");
    EXPECT_EQ(init::read_inside(root_.get(), "none", 100), "");
}

}  // namespace
