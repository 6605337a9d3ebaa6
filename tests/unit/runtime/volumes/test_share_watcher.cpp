#include "runtime/volumes/share_watcher.h"

#include "share_fixture.h"

namespace {

namespace fs = std::filesystem;
using runtime::ShareWatcher;

class SharedTreeTest : public share_test::Share {
protected:
    void SetUp() override {
        Share::SetUp();
        guest_changes(volume, S_IFDIR | 0755);
        tree = std::make_unique<ShareWatcher>(top() / "volumes", top(), runtime::GuestOwner{1234, 5678});
        tree->sync(true);
    }

    mode_t bits(const std::string& name) const { return mode(volume / name) & 07777; }

    // Makes folders of depth `depth` below each other, and a file in the innermost, by openat: the path may be longer than paths can be.
    static void make_chain(const fs::path& from, size_t depth) {
        base::UniqueFd fd(::open(from.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        for (size_t i = 0; i < depth; i++) {
            ASSERT_EQ(::mkdirat(fd.get(), "d", 0700), 0);
            fd.reset(::openat(fd.get(), "d", O_PATH | O_DIRECTORY | O_CLOEXEC));
        }
        const base::UniqueFd file(::openat(fd.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        ASSERT_TRUE(file);
    }

    std::unique_ptr<ShareWatcher> tree;
};

TEST_F(SharedTreeTest, SettlesWhatHasChangedWhereverItIs) {
    guest_makes(volume / "a", S_IFDIR | 0755);
    guest_makes(volume / "a/b", S_IFDIR | 0750);
    guest_makes(volume / "a/b/program", S_IFREG | 0755);
    tree->sync(true);
    EXPECT_EQ(bits("a"), 0755U);
    EXPECT_EQ(bits("a/b"), 0750U);
    EXPECT_EQ(bits("a/b/program"), 0755U);

    guest_makes(volume / "a/b/later", S_IFREG | 0711);
    guest_changes(volume / "a/b/program", S_IFREG | 0700);
    host_makes(volume / "a/from-host", 0640);
    fs::create_symlink("b", volume / "a/link");
    tree->sync(true);
    EXPECT_EQ(bits("a/b/later"), 0711U);
    EXPECT_EQ(bits("a/b/program"), 0700U);
    EXPECT_EQ(guest_mode(volume / "a/from-host"), S_IFREG | 0640U);
    EXPECT_EQ(guest_mode(volume / "a/link"), S_IFLNK | 0777U);
}

TEST_F(SharedTreeTest, ClosedFoldersAreGivenBackWithoutAWalk) {
    guest_makes(volume / "a", S_IFDIR | 0700);
    guest_makes(volume / "a/b", S_IFDIR | 0555);
    guest_makes(volume / "a/b/file", S_IFREG | 0444);
    guest_changes(volume / "a", S_IFDIR);
    tree->sync(true);
    tree->sync(false);
    EXPECT_EQ(bits("a"), 0500U);
    EXPECT_EQ(bits("a/b"), 0555U);
    tree->give_back();
    EXPECT_EQ(bits("a"), 0700U);
    EXPECT_EQ(bits("a/b"), 0755U);
    EXPECT_EQ(bits("a/b/file"), 0444U);
}

TEST_F(SharedTreeTest, FoldersThatMoveAreFollowed) {
    guest_makes(volume / "a", S_IFDIR | 0755);
    guest_makes(volume / "a/b", S_IFDIR | 0755);
    guest_makes(volume / "c", S_IFDIR | 0755);
    tree->sync(true);
    fs::rename(volume / "a/b", volume / "c/b2");
    guest_makes(volume / "c/b2/x", S_IFREG | 0755);
    guest_makes(volume / "a/b", S_IFDIR | 0755);  // another of that name
    guest_makes(volume / "a/b/y", S_IFREG | 0711);
    tree->sync(true);
    EXPECT_EQ(bits("c/b2/x"), 0755U);
    EXPECT_EQ(bits("a/b/y"), 0711U);
    fs::rename(volume / "c", top() / "outside");
    host_makes(top() / "outside/b2/z", 0644);
    guest_makes(volume / "c", S_IFDIR | 0755);
    guest_makes(volume / "c/b2", S_IFDIR | 0755);
    guest_makes(volume / "c/b2/z", S_IFREG | 0755);
    tree->sync(true);
    EXPECT_EQ(bits("c/b2/z"), 0755U);
    EXPECT_FALSE(attribute(top() / "outside/b2/z", "user.virtfs.mode")) << "what has left the share is nobody's business";
}

TEST_F(SharedTreeTest, NarrowModesAreExactAtRestAndGiveWayBeforeTheNextUse) {
    guest_makes(volume / "closed", S_IFDIR | 0000);
    guest_makes(volume / "closed/inner", S_IFDIR | 0555);
    guest_makes(volume / "closed/inner/read-only", S_IFREG | 0444);
    guest_makes(volume / "closed/inner/unreadable", S_IFREG | 0000);
    for (int round = 0; round < 3; round++) {
        tree->sync(true);
        EXPECT_EQ(bits("closed"), 0700U);
        EXPECT_EQ(bits("closed/inner"), 0755U);
        EXPECT_EQ(bits("closed/inner/read-only"), 0644U);
        EXPECT_EQ(bits("closed/inner/unreadable"), 0600U);
        tree->sync(false);
        EXPECT_EQ(bits("closed"), 0500U);
        EXPECT_EQ(bits("closed/inner"), 0555U);
        EXPECT_EQ(bits("closed/inner/read-only"), 0444U);
        EXPECT_EQ(bits("closed/inner/unreadable"), 0400U);
    }
    // At rest the host moves one of them.
    tree->sync(true);
    guest_changes(volume / "closed", S_IFDIR | 0755);
    tree->sync(false);
    fs::rename(volume / "closed", volume / "moved");
    tree->sync(true);
    EXPECT_EQ(bits("moved/inner"), 0755U);
    EXPECT_EQ(bits("moved/inner/read-only"), 0644U);
}

TEST_F(SharedTreeTest, AtRestItsOwnWorkDoesNotWakeItAgain) {
    guest_makes(volume / "read-only", S_IFREG | 0444);
    guest_makes(volume / "file", S_IFREG | 0644);
    tree->sync(true);
    tree->sync(false);
    tree->sync(false);
    struct stat before {};
    ASSERT_EQ(::stat((volume / "read-only").c_str(), &before), 0);
    tree->sync(false);
    struct stat after {};
    ASSERT_EQ(::stat((volume / "read-only").c_str(), &after), 0);
    EXPECT_EQ(std::make_pair(before.st_ctim.tv_sec, before.st_ctim.tv_nsec), std::make_pair(after.st_ctim.tv_sec, after.st_ctim.tv_nsec));
    EXPECT_EQ(after.st_mode, S_IFREG | 0444U);
}

TEST_F(SharedTreeTest, AVolumeItselfStaysOpenForTheHost) {
    guest_changes(volume, S_IFDIR | 0000);
    tree->sync(true);
    tree->sync(false);
    EXPECT_EQ(mode(volume), S_IFDIR | 0700U);
}

TEST_F(SharedTreeTest, LostEventsLeadToAWalk) {
    // More than inotify queues.
    for (int i = 0; i < 20'000; i++)
        guest_makes(volume / std::to_string(i), S_IFREG | 0755);
    guest_makes(volume / "folder", S_IFDIR | 0755);
    guest_makes(volume / "folder/last", S_IFREG | 0444);
    tree->sync(true);
    EXPECT_EQ(bits("0"), 0755U);
    EXPECT_EQ(bits("19999"), 0755U);
    tree->sync(false);
    EXPECT_EQ(bits("folder/last"), 0444U);
    tree->sync(true);
    guest_makes(volume / "folder/after", S_IFREG | 0711);
    tree->sync(true);
    EXPECT_EQ(bits("folder/last"), 0644U);
    EXPECT_EQ(bits("folder/after"), 0711U);
}

TEST_F(SharedTreeTest, OddNamesAndVeryDeepTrees) {
    const std::string odd("new\nline \xff\x01 \\ '\"", 16);
    guest_makes(volume / odd, S_IFDIR | 0755);
    guest_makes(volume / odd / std::string(255, 'x'), S_IFREG | 0755);
    make_chain(volume, ShareWatcher::kMaxDepth + 100);
    tree->sync(true);
    EXPECT_EQ(bits(odd + "/" + std::string(255, 'x')), 0755U);
    guest_makes(volume / "still", S_IFREG | 0711);
    tree->sync(true);
    tree->sync(false);
    EXPECT_EQ(bits("still"), 0711U);
}

TEST_F(SharedTreeTest, AStopCutsASweepShort) {
    guest_makes(volume / "x", S_IFREG | 0755);
    tree->stop();
    tree->sync(true);
    EXPECT_EQ(bits("x"), 0600U);
}

}  // namespace
