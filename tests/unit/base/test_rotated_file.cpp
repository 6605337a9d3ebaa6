#include "base/rotated_file.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace {

namespace fs = std::filesystem;

class RotatedFile : public testing::Test {
protected:
    RotatedFile() {
        std::string name = fs::temp_directory_path() / "rotated-XXXXXX";
        if (!::mkdtemp(name.data())) base::throw_errno("cannot make ", name);
        folder = name;
    }
    ~RotatedFile() override { fs::remove_all(folder); }

    std::string text(const char* name) const { return fs::exists(folder / name) ? base::read_file(folder / name, 1 << 20) : "none"; }

    fs::path folder;
};

TEST_F(RotatedFile, KeepsTheLatest) {
    base::RotatedFile file(folder / "log", 10, 2);
    for (const char* line : {"aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n"})
        file.write(line);
    EXPECT_EQ(text("log"), "gggg\n");
    EXPECT_EQ(text("log.1"), "eeee\nffff\n");
    EXPECT_EQ(text("log.2"), "cccc\ndddd\n");
    EXPECT_EQ(text("log.3"), "none");
    file.write("a line that is longer than the file may be");
    EXPECT_EQ(text("log"), "a line tha");
}

TEST_F(RotatedFile, AddsToWhatIsThere) {
    base::RotatedFile(folder / "log", 10, 1).write("first\n");
    base::RotatedFile(folder / "log", 10, 1).write("2\n");
    EXPECT_EQ(text("log"), "first\n2\n");
    base::RotatedFile(folder / "log", 10, 1).write("third\n");
    EXPECT_EQ(text("log"), "third\n");
    EXPECT_EQ(text("log.1"), "first\n2\n");
}

TEST_F(RotatedFile, MayBeTriedAgainWhereItCannotBeWritten) {
    base::RotatedFile file(folder / "sub/log", 10, 1);
    EXPECT_THROW(file.write("x"), base::SystemError);
    EXPECT_THROW(file.write("x"), base::SystemError);
    fs::create_directory(folder / "sub");
    file.write("12345678");
    EXPECT_EQ(text("sub/log"), "12345678");
    fs::remove_all(folder / "sub");
    EXPECT_THROW(file.write("12345678"), base::SystemError);
    fs::create_directory(folder / "sub");
    file.write("y");
    EXPECT_EQ(text("sub/log"), "y");
}

// A folder in the way of the older file: the space is bounded all the same.
TEST_F(RotatedFile, EmptiesTheFileThatCannotBeRenamed) {
    fs::create_directories(folder / "log.1/full");
    base::RotatedFile file(folder / "log", 10, 1);
    file.write("12345678");
    file.write("abcdef");
    EXPECT_EQ(text("log"), "abcdef");
}

}  // namespace
