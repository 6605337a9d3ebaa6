#include "runtime/volumes/storage_use.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "share_fixture.h"
#include "storage_files.h"

namespace {

namespace fs = std::filesystem;
using share_test::Share;
using storage_test::fill;
using storage_test::nest;
using storage_test::opened;

const std::atomic<bool> kNotStopped = false;

class StorageUse : public Share {
protected:
    runtime::StorageUse use() const { return runtime::storage_below(opened(volume).get(), kNotStopped); }
};

TEST_F(StorageUse, OfAnEmptyFolderIsNothing) {
    EXPECT_EQ(use().bytes, 0U);
    EXPECT_EQ(use().inodes, 0U);
    EXPECT_EQ(runtime::storage_below(-1, kNotStopped).inodes, 0U);
}

TEST_F(StorageUse, IsTheBlocksOfFilesAndFolders) {
    fs::create_directories(volume / "a/b");
    for (int i = 0; i < 100; i++)
        fill(volume / "a/b" / std::to_string(i), 4096);
    EXPECT_GE(use().bytes, 100U * 4096);
    EXPECT_LT(use().bytes, 110U * 4096 + 2 * 65536);  // the folders
    EXPECT_EQ(use().inodes, 102 * runtime::kInodeBytes);
}

TEST_F(StorageUse, IsNotTheSizeOfASparseFile) {
    std::ofstream(volume / "sparse") << "";
    fs::resize_file(volume / "sparse", uint64_t{1} << 40);
    EXPECT_LT(use().bytes, 65536U);
}

TEST_F(StorageUse, CountsEmptyFiles) {
    for (int i = 0; i < 1000; i++)
        std::ofstream(volume / std::to_string(i)) << "";
    EXPECT_EQ(use().inodes, 1000 * runtime::kInodeBytes);
}

TEST_F(StorageUse, CountsAFileOfManyNamesOnce) {
    fill(volume / "0", 1 << 20);
    for (int i = 1; i < 16; i++)
        fs::create_hard_link(volume / "0", volume / std::to_string(i));
    EXPECT_GE(use().bytes, uint64_t{1} << 20);
    EXPECT_LT(use().bytes, (uint64_t{1} << 20) + 65536);
    EXPECT_EQ(use().inodes, runtime::kInodeBytes);
}

TEST_F(StorageUse, FollowsNoLinks) {
    fill(top() / "outside", 1 << 20);
    fs::create_symlink(top(), volume / "folder");
    fs::create_symlink(top() / "outside", volume / "file");
    EXPECT_LT(use().bytes, 65536U);
}

TEST_F(StorageUse, KnowsATreeThatIsTooDeep) {
    (void)nest(volume, runtime::kMaxNesting);
    EXPECT_FALSE(use().too_deep);
    fs::create_directory(volume / "second");
    (void)nest(volume / "second", runtime::kMaxNesting + 1);
    EXPECT_TRUE(use().too_deep);
}

// Not a Share: a process that has changed its user may not look into itself.
TEST(UnnamedBytes, AreOfFilesThatAProcessHoldsAndNothingElseNames) {
    const base::TemporaryFolder folder;
    std::vector<base::UniqueFd> files;
    for (const char* name : {"known", "removed", "named"}) {
        fill(folder.path() / name, 2 << 20);
        files.push_back(base::open_file(folder.path() / name, O_RDWR));
    }
    fs::remove(folder.path() / "removed");
    fs::remove(folder.path() / "known");
    const base::UniqueFd top = opened(folder.path());
    const uint64_t bytes = runtime::unnamed_bytes(::getpid(), top.get(), std::span(files).first(1));
    EXPECT_GE(bytes, 2U << 20);
    EXPECT_LT(bytes, 3U << 20);
    EXPECT_EQ(runtime::unnamed_bytes(-1, top.get(), {}), 0U);
}

TEST_F(StorageUse, AnOwnerCanRemoveWhatWasMadeRemovable) {
    fs::create_directories(volume / "a/b/c");
    fill(volume / "a/b/c/file", 10);
    ASSERT_EQ(::chmod((volume / "a/b/c/file").c_str(), 0444), 0);
    for (const char* name : {"a/b/c", "a/b", "a"})
        ASSERT_EQ(::chmod((volume / name).c_str(), name == std::string("a/b") ? 0 : 0555), 0);
    ASSERT_THROW(fs::remove_all(volume / "a"), fs::filesystem_error);
    runtime::make_removable(opened(volume).get(), kNotStopped);
    EXPECT_EQ(mode(volume / "a"), S_IFDIR | 0755U);
    EXPECT_EQ(mode(volume / "a/b"), S_IFDIR | 0700U);
    EXPECT_EQ(mode(volume / "a/b/c/file"), S_IFREG | 0444U);
    EXPECT_NO_THROW(fs::remove_all(volume / "a"));
}

TEST_F(StorageUse, DeepFoldersAreMovedUp) {
    constexpr size_t kLevels = 1200;
    {
        const base::UniqueFd innermost = nest(volume, kLevels);
        const base::UniqueFd file(::openat(innermost.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        base::write_all(file.get(), std::string_view("still here"), "file");
    }
    fs::create_directory(volume / "nested-0");  // the name is taken
    runtime::make_removable(opened(volume).get(), kNotStopped);
    EXPECT_FALSE(use().too_deep);
    size_t folders = 0;
    size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(volume)) {
        folders += entry.is_directory() ? 1U : 0U;
        files += entry.is_regular_file() ? 1U : 0U;
    }
    EXPECT_EQ(folders, kLevels + 1);
    EXPECT_EQ(files, 1U);
    fs::remove_all(volume);
    EXPECT_FALSE(fs::exists(volume));
}

// The least that raise_descriptor_limit (runtime/host/limits.h) accepts.
TEST_F(StorageUse, FewDescriptorsHideNothing) {
    const base::UniqueFd innermost = nest(volume, runtime::kMaxNesting - 1);
    ASSERT_EQ(::fchmod(innermost.get(), 0555), 0);
    const base::UniqueFd top = opened(volume);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit few{.rlim_cur = 256, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const runtime::StorageUse use = runtime::storage_below(top.get(), kNotStopped);
    runtime::make_removable(top.get(), kNotStopped);
    const bool counted_all = runtime::storage_below(top.get(), kNotStopped).too_deep == 0;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_GT(use.too_deep, 100U);
    EXPECT_LT(use.too_deep, 256U);
    EXPECT_TRUE(counted_all) << "what was too deep has been moved up";
    struct stat st {};
    ASSERT_EQ(::fstat(innermost.get(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0755U);
}

}  // namespace
