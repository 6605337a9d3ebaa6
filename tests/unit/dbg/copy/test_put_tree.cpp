#include "dbg/copy/put_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/fd.h"
#include "base/temporary_folder.h"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

class PutTree : public testing::Test {
protected:
    void write(const std::string& name, const std::string& text) {
        fs::create_directories((folder.path() / name).parent_path());
        std::ofstream(folder.path() / name) << text;
    }
    std::string text(const std::string& name) const { return base::read_file(folder.path() / name, 1000); }
    void put() { dbg::put_tree(folder.path() / "made", folder.path() / "target"); }

    base::TemporaryFolder folder;
};

TEST_F(PutTree, PutsAFileInThePlaceOfNothingOfAFileAndOfALink) {
    write("victim", "untouched");
    for (const int round : {0, 1, 2}) {
        write("made", std::to_string(round));
        if (round == 2) {
            fs::remove(folder.path() / "target");
            fs::create_symlink("victim", folder.path() / "target");
        }
        put();
        EXPECT_EQ(text("target"), std::to_string(round));
        EXPECT_FALSE(fs::exists(folder.path() / "made"));
    }
    EXPECT_EQ(text("victim"), "untouched");
}

TEST_F(PutTree, JoinsFolders) {
    write("target/sub/kept", "kept");
    write("target/sub/old", "old");
    fs::permissions(folder.path() / "target/sub", fs::perms(0750));
    write("made/sub/old", "new");
    write("made/more/f", "f");
    fs::permissions(folder.path() / "made/more", fs::perms(0500));
    fs::permissions(folder.path() / "made/sub", fs::perms(0));
    put();
    EXPECT_EQ(text("target/sub/kept"), "kept");
    EXPECT_EQ(text("target/sub/old"), "new");
    EXPECT_EQ(text("target/more/f"), "f");
    EXPECT_EQ(fs::status(folder.path() / "target/more").permissions(), fs::perms(0500));
    EXPECT_EQ(fs::status(folder.path() / "target/sub").permissions(), fs::perms(0750));
    fs::permissions(folder.path() / "target/more", fs::perms(0700));
}

TEST_F(PutTree, MovesNothingWhereOneNameCannotBe) {
    constexpr int kOthers = 30;  // so that some come before it, in whatever order
    const auto expect_old = [this] {
        for (int i = 0; i < kOthers; i++)
            EXPECT_EQ(text("target/" + std::to_string(i)), "old");
    };
    for (int i = 0; i < kOthers; i++) {
        write("target/" + std::to_string(i), "old");
        write("made/" + std::to_string(i), "new");
    }
    write("target/z/f", "");
    write("made/z", "");
    EXPECT_THAT([this] { put(); }, ThrowsMessage<base::Error>(HasSubstr("target/z\" with a non-folder")));
    expect_old();
    fs::remove_all(folder.path() / "target/z");
    fs::remove(folder.path() / "made/z");
    fs::create_directory(folder.path() / "made/z");
    fs::create_symlink("/tmp", folder.path() / "target/z");
    EXPECT_THAT([this] { put(); }, ThrowsMessage<base::Error>(HasSubstr("cannot overwrite the non-folder")));
    expect_old();
}

}  // namespace
