#include "base/remove_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/fd.h"
#include "base/temporary_folder.h"

namespace {

namespace fs = std::filesystem;
using base::remove_tree;

TEST(RemoveTree, RemovesFilesFoldersAndNothing) {
    const base::TemporaryFolder folder;
    EXPECT_NO_THROW(remove_tree(folder.path() / "missing"));
    std::ofstream(folder.path() / "file") << "x";
    remove_tree(folder.path() / "file");
    fs::create_directories(folder.path() / "a/b/c");
    fs::create_directories(folder.path() / "a/d");
    std::ofstream(folder.path() / "a/b/c/file") << "x";
    std::ofstream(folder.path() / "a/d/file") << "x";
    remove_tree(folder.path() / "a");
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(RemoveTree, FollowsNoSymlink) {
    const base::TemporaryFolder folder;
    fs::create_directories(folder.path() / "outside/kept");
    fs::create_directories(folder.path() / "a/b");
    fs::create_symlink(folder.path() / "outside", folder.path() / "a/link");
    fs::create_symlink(folder.path() / "outside", folder.path() / "a/b/link");
    remove_tree(folder.path() / "a");
    fs::create_symlink(folder.path() / "outside", folder.path() / "link");
    remove_tree(folder.path() / "link");
    EXPECT_TRUE(fs::exists(folder.path() / "outside/kept"));
    EXPECT_FALSE(fs::exists(folder.path() / "a"));
    EXPECT_FALSE(fs::is_symlink(folder.path() / "link"));
}

TEST(RemoveTree, FoldersThatKeepTheirOwnerOutAndLeftoversOfItself) {
    const base::TemporaryFolder folder;
    fs::create_directories(folder.path() / "a/b/c/d");
    fs::create_directories(folder.path() / "a/.removed-0/x/y");
    std::ofstream(folder.path() / "a/.removed-1") << "x";
    fs::permissions(folder.path() / "a/b/c", fs::perms::none);
    fs::permissions(folder.path() / "a/b", fs::perms::owner_read);
    remove_tree(folder.path() / "a");
    EXPECT_FALSE(fs::exists(folder.path() / "a"));
}

// Deeper than a path is long and a process has descriptors.
TEST(RemoveTree, AnyDepth) {
    constexpr int kDepth = 5000;
    const base::TemporaryFolder folder;
    base::UniqueFd at = base::open_file(folder.path(), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < kDepth; i++) {
        ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0);
        at.reset(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        ASSERT_TRUE(at);
    }
    at.reset();
    remove_tree(folder.path() / "d");
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
