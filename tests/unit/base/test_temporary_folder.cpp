#include "base/temporary_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace {

namespace fs = std::filesystem;

void make_old(const fs::path& folder) {
    const timespec old[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, folder.c_str(), old, 0), 0);
}

// The folder that a child has made and filled before SIGKILL.
fs::path left_by_a_killed_child(const fs::path& parent) {
    int name[2];
    EXPECT_EQ(::pipe(name), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const base::TemporaryFolder folder(parent, "work-");
        std::ofstream(folder.path() / "file") << "text";
        const std::string path = folder.path();
        (void)!::write(name[1], path.data(), path.size());
        ::raise(SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    char path[4096] = {};
    EXPECT_GT(::read(name[0], path, sizeof path - 1), 0);
    ::close(name[0]);
    ::close(name[1]);
    return path;
}

TEST(TemporaryFolder, GoesWithItsObject) {
    fs::path path;
    {
        const base::TemporaryFolder folder;
        path = folder.path();
        std::ofstream(path / "file") << "text";
        struct stat status {};
        ASSERT_EQ(::stat(path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0700U);
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST(TemporaryFolder, RemovesWhatAKilledProcessHasLeft) {
    const base::TemporaryFolder parent;
    const fs::path left = left_by_a_killed_child(parent.path());
    const fs::path young = left_by_a_killed_child(parent.path());
    const base::TemporaryFolder alive(parent.path(), "work-");
    const fs::path others[] = {parent.path() / "work-long-name", parent.path() / "other-ABCDEF", parent.path() / "work-"};
    for (const fs::path& folder : others)
        fs::create_directory(folder);
    fs::create_directory_symlink(others[0], parent.path() / "work-symlnk");
    for (const fs::path& folder : {left, alive.path(), others[0], others[1], others[2]})
        make_old(folder);
    const base::TemporaryFolder next(parent.path(), "work-");
    EXPECT_FALSE(fs::exists(left));
    EXPECT_TRUE(fs::exists(young / "file")) << "it may be without its lock for a moment more";
    for (const fs::path& folder : {alive.path(), next.path(), others[0], others[1], others[2], parent.path() / "work-symlnk"})
        EXPECT_TRUE(fs::exists(folder)) << folder;
}

}  // namespace
