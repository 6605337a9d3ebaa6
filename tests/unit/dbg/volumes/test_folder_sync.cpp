#include "dbg/volumes/folder_sync.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/subprocess.h"
#include "base/temporary_folder.h"

namespace dbg {
namespace {
namespace fs = std::filesystem;

class FolderSyncTest : public testing::Test {
protected:
    void SetUp() override {
        for (const char* name : {"source", "volume", "staging"})
            fs::create_directory(folder_.path() / name);
    }

    void write(const std::string& name, const std::string& text) { std::ofstream(source_ / name) << text; }
    void shell(const std::string& script) {
        const base::Finished done = base::run({"/bin/sh", "-ec", "cd \"$0\"; " + script, source_.string()});
        ASSERT_EQ(done.code, 0) << done.output;
    }
    void begin() {
        sync_ = std::make_unique<FolderSync>(source_, VolumePlace{{"/src", folder_.path() / "volume"}, {"in"}}, folder_.path() / "staging");
        EXPECT_TRUE(sync_->sync());
        expect_same();
    }
    // Both trees, with types, rwx bits, sizes, contents and link targets.
    void expect_same() {
        const std::string script =
            "diff -r --no-dereference \"$0\" \"$1\" && for d in \"$0\" \"$1\"; do "
            "(cd \"$d\" && find . -mindepth 1 ! -type l -printf '%P %y %m\\n' | sort | md5sum); done | uniq | wc -l";
        const base::Finished diff = base::run({"/bin/sh", "-c", script, source_.string(), target_.string()});
        EXPECT_EQ(diff.output, "1\n");
    }
    bool sync() {
        pollfd waiting{.fd = sync_->events().get(), .events = POLLIN, .revents = 0};
        EXPECT_EQ(::poll(&waiting, 1, 10'000), 1) << "no event";
        return sync_->sync();
    }

    base::TemporaryFolder folder_;
    fs::path source_ = folder_.path() / "source";
    fs::path target_ = folder_.path() / "volume/in";
    std::unique_ptr<FolderSync> sync_;
};

TEST_F(FolderSyncTest, FirstSyncCopiesAllOfIt) {
    shell(
        "mkdir -p a/b empty; echo one > a/b/one; echo tool > tool; chmod 755 tool; chmod 640 a/b/one; ln -s a/b/one link; ln -s /no/where "
        "dead; mkfifo fifo");
    sync_ = std::make_unique<FolderSync>(source_, VolumePlace{{"/src", folder_.path() / "volume"}, {"in"}}, folder_.path() / "staging");
    EXPECT_TRUE(sync_->sync());
    fs::remove(source_ / "fifo");  // is left out
    expect_same();
    struct stat ours {};
    struct stat copied {};
    ASSERT_EQ(::stat((source_ / "tool").c_str(), &ours), 0);
    ASSERT_EQ(::stat((target_ / "tool").c_str(), &copied), 0);
    EXPECT_EQ(copied.st_mtim.tv_sec, ours.st_mtim.tv_sec);
    EXPECT_EQ(copied.st_mtim.tv_nsec, ours.st_mtim.tv_nsec);
}

TEST_F(FolderSyncTest, ChangesFollow) {
    shell("mkdir -p a/b; echo one > a/b/one; echo two > a/two; ln -s x link");
    begin();
    for (const char* change :
         {"echo changed > a/b/one", "echo more >> a/two", "rm a/two", "chmod 755 a/b/one", "chmod 700 a/b", "ln -sfn y link",
          "mkdir -p new/deep/er; echo new > new/deep/er/file", "rm -r new", "rm a/b/one; mkdir a/b/one; echo x > a/b/one/x",
          "rm -r a/b/one; echo again > a/b/one", "rm link; echo 'no link' > link", "touch -d 2001-01-01 a/b/one"}) {
        shell(change);
        EXPECT_TRUE(sync()) << change;
        expect_same();
    }
    EXPECT_FALSE(sync_->sync());
}

TEST_F(FolderSyncTest, RenamesMoveWhatTheTargetHas) {
    shell("mkdir -p a/b/c; for i in 1 2 3 4 5 6 7 8 9; do echo $i > a/b/c/$i; done");
    begin();
    const uint64_t before = sync_->looked_at();
    shell("mv a/b moved");
    EXPECT_TRUE(sync());
    expect_same();
    EXPECT_LE(sync_->looked_at() - before, 3u);  // its files were not copied again
    shell("echo changed > moved/c/5; rm moved/c/6");
    EXPECT_TRUE(sync());
    expect_same();
    // Two that change places; one into another that is new.
    shell("mkdir x y; echo x > x/file; echo y > y/file");
    EXPECT_TRUE(sync());
    shell("mv x t; mv y x; mv t y; mkdir -p n/m; mv moved n/m/moved; echo late > n/m/moved/c/5");
    EXPECT_TRUE(sync());
    expect_same();
    shell("echo still > x/file; echo watched > y/file; echo here > n/m/moved/c/5");
    EXPECT_TRUE(sync());
    expect_same();
}

TEST_F(FolderSyncTest, EditorsThatSaveByRename) {
    write("file", "before");
    begin();
    shell("echo after > .file.swp; mv file file~; mv .file.swp file; rm file~");
    EXPECT_TRUE(sync());
    expect_same();
    shell("echo other > .new; mv .new file");
    EXPECT_TRUE(sync());
    expect_same();
}

TEST_F(FolderSyncTest, GuestsFilesStayAndOurDeletionsGoThrough) {
    shell("mkdir d; echo one > d/one; echo two > d/two");
    begin();
    std::ofstream(target_ / "d/built") << "by the guest";
    fs::remove(target_ / "d/two");
    shell("rm d/one; echo three > d/three");
    EXPECT_TRUE(sync());
    EXPECT_TRUE(fs::exists(target_ / "d/built"));
    EXPECT_FALSE(fs::exists(target_ / "d/one"));
    EXPECT_TRUE(fs::exists(target_ / "d/three"));
    fs::remove_all(target_);
    shell("echo four > d/four");
    EXPECT_TRUE(sync());
    EXPECT_TRUE(fs::exists(target_ / "d/four"));
}

TEST_F(FolderSyncTest, LostEventsMeanOneWalk) {
    shell("mkdir d e; echo one > d/one; echo two > e/two");
    begin();
    std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
    int events = 0;
    limit >> events;
    if (events == 0 || events > 50'000) GTEST_SKIP() << "the queue of events is too long to be filled";
    shell("echo changed > d/one; rm e/two");
    // Two files in turn, since the kernel merges equal events.
    for (int i = 0; i < events; i++)
        write(i % 2 ? "d/a" : "d/b", "x");
    shell("rm -r e; mkdir -p f/g; echo new > f/g/new");
    EXPECT_TRUE(sync());
    expect_same();
    shell("echo watched > f/g/new");
    EXPECT_TRUE(sync());
    expect_same();
}

TEST_F(FolderSyncTest, FileThatIsWrittenAllTheTimeEndsUpEqual) {
    write("log", "");
    begin();
    std::thread writer([this] {
        std::ofstream log(source_ / "log");
        for (int i = 0; i < 20'000; i++)
            log << "line " << i << std::endl;  // NOLINT(performance-avoid-endl): each is a change
    });
    for (int i = 0; i < 20; i++)
        (void)sync_->sync();
    writer.join();
    (void)sync_->sync();
    expect_same();
}

TEST_F(FolderSyncTest, OneChangeOfTwentyThousandFilesLooksAtOneFile) {
    for (int d = 0; d < 100; d++) {
        fs::create_directories(source_ / std::to_string(d));
        for (int f = 0; f < 200; f++)
            write(std::to_string(d) + "/" + std::to_string(f), "text");
    }
    begin();
    EXPECT_EQ(sync_->looked_at(), 20'100u);
    write("57/123", "changed");
    EXPECT_TRUE(sync());
    EXPECT_EQ(sync_->looked_at(), 20'101u);
    EXPECT_EQ(base::read_file(target_ / "57/123", 100), "changed");
}

TEST_F(FolderSyncTest, WhatCannotBeReadDoesNotStopTheRest) {
    if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
    shell("echo a > a; echo b > b; echo c > c; chmod 0 b");
    sync_ = std::make_unique<FolderSync>(source_, VolumePlace{{"/src", folder_.path() / "volume"}, {}}, folder_.path() / "staging");
    EXPECT_TRUE(sync_->sync());
    EXPECT_TRUE(fs::exists(folder_.path() / "volume/c"));
    EXPECT_FALSE(fs::exists(folder_.path() / "volume/b"));
}

TEST_F(FolderSyncTest, NoFolderIsAnError) {
    write("file", "text");
    EXPECT_THROW(FolderSync(source_ / "file", VolumePlace{{"/src", folder_.path() / "volume"}, {}}, folder_.path() / "staging"),
                 base::Error);
    EXPECT_THROW(FolderSync(source_ / "none", VolumePlace{{"/src", folder_.path() / "volume"}, {}}, folder_.path() / "staging"),
                 base::Error);
}

}  // namespace
}  // namespace dbg
