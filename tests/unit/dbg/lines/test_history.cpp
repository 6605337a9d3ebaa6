#include "dbg/lines/history.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace dbg {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;

class HistoryTest : public testing::Test {
protected:
    base::TemporaryFolder folder_;
    fs::path file_ = folder_.path() / "state/gvmkit/dbg_history";
};

TEST_F(HistoryTest, WhatWasTypedComesBackInOrder) {
    append_history(file_, "ls -l");
    append_history(file_, "printf 'a\\nb' \\\\");
    append_history(file_, "two\nlines");
    EXPECT_THAT(read_history(file_), ElementsAre("ls -l", "printf 'a\\nb' \\\\", "two\nlines"));
}

TEST_F(HistoryTest, OnlyTheOwnerReadsIt) {
    append_history(file_, "one");
    struct stat st {};
    ASSERT_EQ(::stat(file_.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
    ASSERT_EQ(::chmod(file_.c_str(), 0644), 0);
    append_history(file_, "two");
    ASSERT_EQ(::stat(file_.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(HistoryTest, BlankFirstAndVeryLongLinesAreNotKept) {
    append_history(file_, " export SECRET=1");
    append_history(file_, "");
    append_history(file_, std::string(kMaxEntry + 1, 'x'));
    append_history(file_, "kept");
    EXPECT_THAT(read_history(file_), ElementsAre("kept"));
}

TEST_F(HistoryTest, GrowsNoFurtherAndKeepsTheNewest) {
    const std::string filler(10'000, 'f');
    for (int i = 0; i < 250; i++)
        append_history(file_, std::to_string(i) + filler);
    EXPECT_LE(fs::file_size(file_), kMaxHistory);
    const auto entries = read_history(file_);
    ASSERT_GT(entries.size(), 40u);
    EXPECT_EQ(entries.back(), "249" + filler);
    for (size_t i = 1; i < entries.size(); i++)
        EXPECT_EQ(std::stoi(entries[i]), std::stoi(entries[i - 1]) + 1);
}

TEST_F(HistoryTest, SeveralWritersLoseNothing) {
    constexpr int kWriters = 4;
    constexpr int kLines = 300;
    // Long enough to be shortened in between: what is lost then is old, and never a gap.
    const std::string filler(15'000, 'f');
    std::vector<std::thread> writers;
    writers.reserve(kWriters);
    for (int w = 0; w < kWriters; w++)
        writers.emplace_back([&, w] {
            for (int i = 0; i < kLines; i++)
                append_history(file_, std::to_string(w) + " " + std::to_string(i) + " " + filler);
        });
    for (std::thread& writer : writers)
        writer.join();
    std::vector<int> next(kWriters, -1);
    for (const std::string& entry : read_history(file_)) {
        int& wanted = next[static_cast<size_t>(entry[0] - '0')];
        const int i = std::stoi(entry.substr(2));
        EXPECT_TRUE(wanted < 0 || wanted == i) << entry.substr(0, 10);
        wanted = i + 1;
    }
    // One that was done early may be gone by now.
    EXPECT_THAT(next, testing::Each(testing::AnyOf(-1, kLines)));
    EXPECT_THAT(next, testing::Contains(kLines));
}

TEST_F(HistoryTest, MissingOrStrangeFilesAreNoHistory) {
    EXPECT_TRUE(read_history(file_).empty());
    EXPECT_TRUE(read_history("/dev/zero").empty());
    fs::create_directories(file_);
    EXPECT_TRUE(read_history(file_).empty());
    EXPECT_THROW(append_history(file_, "x"), base::Error);
}

TEST_F(HistoryTest, PlaceFollowsTheEnvironment) {
    ::setenv("XDG_STATE_HOME", "/s", 1);
    EXPECT_EQ(history_file(), "/s/gvmkit/dbg_history");
    ::unsetenv("XDG_STATE_HOME");
    ::setenv("HOME", "/h", 1);
    EXPECT_EQ(history_file(), "/h/.local/state/gvmkit/dbg_history");
}

}  // namespace
}  // namespace dbg
