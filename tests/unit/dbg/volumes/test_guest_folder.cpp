#include "dbg/volumes/guest_folder.h"

#include <gmock/gmock.h>

#include <fstream>
#include <memory>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace dbg {
namespace {
namespace fs = std::filesystem;

class GuestFolderTest : public testing::Test {
protected:
    void put(const GuestFolder::Names& folder, const std::string& name, const std::string& text) {
        base::write_all(target_->stage().get(), text, "a file");
        target_->put(folder, name);
    }
    std::string text_of(const fs::path& path) { return base::read_file(folder_.path() / path, 1000); }

    base::TemporaryFolder folder_;
    fs::path top_ = folder_.path() / "top";
    std::unique_ptr<GuestFolder> target_ = [this] {
        for (const char* name : {"top", "staging", "outside"})
            fs::create_directory(folder_.path() / name);
        return std::make_unique<GuestFolder>(folder_.path() / "top", folder_.path() / "staging");
    }();
};

TEST_F(GuestFolderTest, FilesAppearWithTheFoldersOnTheWay) {
    put({"a", "b"}, "file", "one");
    EXPECT_EQ(text_of("top/a/b/file"), "one");
    put({"a", "b"}, "file", "two");
    EXPECT_EQ(text_of("top/a/b/file"), "two");
    EXPECT_TRUE(fs::is_empty(folder_.path() / "staging"));
}

TEST_F(GuestFolderTest, WhatTheGuestPutInTheWayIsReplaced) {
    fs::create_directories(top_ / "file/full");
    put({}, "file", "text");
    EXPECT_EQ(text_of("top/file"), "text");
    put({"file"}, "below", "text");
    EXPECT_EQ(text_of("top/file/below"), "text");
    target_->put_folder({"file"}, "below", 0750);
    EXPECT_EQ(fs::status(top_ / "file/below").permissions(), fs::perms(0750));
}

TEST_F(GuestFolderTest, NoLinkOfTheGuestLeadsOutside) {
    fs::create_symlink("../outside", top_ / "link");
    put({"link"}, "file", "text");
    EXPECT_TRUE(fs::is_empty(folder_.path() / "outside"));
    EXPECT_EQ(text_of("top/link/file"), "text");

    std::ofstream(folder_.path() / "outside/secret") << "secret";
    fs::create_symlink("../outside/secret", top_ / "stolen");
    EXPECT_THROW((void)target_->open_file({}, "stolen"), base::SystemError);
    target_->set_mode({}, "stolen", 0);
    EXPECT_EQ(text_of("outside/secret"), "secret");
    target_->remove({}, "stolen");
    EXPECT_TRUE(fs::exists(folder_.path() / "outside/secret"));
    fs::create_symlink("../outside", top_ / "way");
    EXPECT_FALSE(target_->move({"way"}, "secret", {}, "taken"));
}

TEST_F(GuestFolderTest, FoldersThatGoMeanwhileAreMadeAgain) {
    put({"a"}, "one", "1");
    fs::remove_all(top_ / "a");
    put({"a"}, "two", "2");
    EXPECT_EQ(text_of("top/a/two"), "2");
    target_->remove({"gone"}, "x");
    target_->remove({}, "gone");
}

TEST_F(GuestFolderTest, MovesOnlyToAFreePlace) {
    put({"a"}, "one", "1");
    put({}, "two", "2");
    EXPECT_FALSE(target_->move({"a"}, "one", {}, "two"));
    EXPECT_TRUE(target_->move({"a"}, "one", {"b"}, "three"));
    EXPECT_EQ(text_of("top/b/three"), "1");
    EXPECT_FALSE(target_->move({"none"}, "one", {}, "four"));
}

TEST_F(GuestFolderTest, LinksAreMadeAsTheyAre) {
    target_->put_link({"a"}, "link", "../nowhere");
    EXPECT_EQ(fs::read_symlink(top_ / "a/link"), "../nowhere");
    target_->put_link({"a"}, "link", "/elsewhere");
    EXPECT_EQ(fs::read_symlink(top_ / "a/link"), "/elsewhere");
}

}  // namespace
}  // namespace dbg
