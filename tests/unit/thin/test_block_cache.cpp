#include "thin/block_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "thin_image.h"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;
using thin::BlockCache;
using thin_test::random_bytes;

class BlockCacheTest : public testing::Test {
protected:
    BlockCache cache(uint64_t bytes = uint64_t{1} << 30) { return {folder.path(), {.bytes = bytes, .free = 0}}; }
    std::vector<fs::path> files() {
        std::vector<fs::path> found;
        for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
            if (entry.is_regular_file() && entry.path().filename().string().size() == 62) found.push_back(entry.path());
        return found;
    }
    bool has(BlockCache& cache, const std::vector<std::byte>& block) {
        std::vector<std::byte> data(block.size());
        return cache.read(thin::hash_of(block), data) && data == block;
    }
    void set_age(const fs::path& file, int hours) {
        fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(hours));
    }
    fs::path file_of(const std::vector<std::byte>& block) {
        for (const fs::path& file : files()) {
            std::ifstream in(file, std::ios::binary);
            const std::string text((std::istreambuf_iterator<char>(in)), {});
            if (text.size() == block.size() && std::memcmp(text.data(), block.data(), text.size()) == 0) return file;
        }
        return {};
    }

    base::TemporaryFolder folder;
};

TEST_F(BlockCacheTest, GivesWhatWasStored) {
    BlockCache cache = this->cache();
    const auto block = random_bytes(1000);
    EXPECT_FALSE(has(cache, block));
    EXPECT_TRUE(cache.store(thin::hash_of(block), block));
    EXPECT_TRUE(cache.store(thin::hash_of(block), block)) << "a second time";
    EXPECT_TRUE(has(cache, block));
    EXPECT_EQ(files().size(), 1u);
    BlockCache other = this->cache();
    EXPECT_TRUE(has(other, block));
}

TEST_F(BlockCacheTest, RemovesDamagedBlocks) {
    BlockCache cache = this->cache();
    const auto block = random_bytes(1000);
    const auto damage = {+[](const fs::path& file) { std::ofstream(file, std::ios::in | std::ios::out | std::ios::binary).write("x", 1); },
                         +[](const fs::path& file) { fs::resize_file(file, 999); },
                         +[](const fs::path& file) { fs::resize_file(file, 0); }};
    for (const auto& change : damage) {
        ASSERT_TRUE(cache.store(thin::hash_of(block), block));
        change(files().at(0));
        EXPECT_FALSE(has(cache, block));
        EXPECT_TRUE(files().empty());
    }
}

TEST_F(BlockCacheTest, TellsWhatItHoldsWithoutReadingIt) {
    BlockCache cache = this->cache();
    const auto block = random_bytes(1000);
    const auto hash = thin::hash_of(block);
    EXPECT_FALSE(cache.holds(hash, block.size()));
    ASSERT_TRUE(cache.store(hash, block));
    const fs::path file = files().at(0);
    set_age(file, 3);
    EXPECT_TRUE(cache.holds(hash, block.size()));
    EXPECT_LT(fs::file_time_type::clock::now() - fs::last_write_time(file), std::chrono::hours(1)) << "it counts as a use";
    std::ofstream(file, std::ios::in | std::ios::out | std::ios::binary).write("x", 1);
    EXPECT_TRUE(cache.holds(hash, block.size()));
    fs::resize_file(file, 999);
    EXPECT_FALSE(cache.holds(hash, block.size()));
}

TEST_F(BlockCacheTest, FollowsNoLink) {
    BlockCache cache = this->cache();
    const auto block = random_bytes(1000);
    ASSERT_TRUE(cache.store(thin::hash_of(block), block));
    const fs::path file = files().at(0);
    ASSERT_TRUE(cache.holds(thin::hash_of(block), block.size()));
    fs::rename(file, folder.path() / "elsewhere");
    fs::create_symlink(folder.path() / "elsewhere", file);
    EXPECT_FALSE(cache.holds(thin::hash_of(block), block.size()));
    EXPECT_FALSE(has(cache, block));
}

TEST_F(BlockCacheTest, PrunesWhatWasUsedLongestAgo) {
    BlockCache cache = this->cache();
    std::vector<std::vector<std::byte>> blocks;
    for (unsigned i = 0; i < 4; i++) {
        blocks.push_back(random_bytes(gvmi::kThinBlock, i));
        ASSERT_TRUE(cache.store(thin::hash_of(blocks[i]), blocks[i]));
        set_age(file_of(blocks[i]), 10 - static_cast<int>(i));
    }
    EXPECT_TRUE(has(cache, blocks[0])) << "which counts as a use";
    const BlockCache::Use use = cache.prune(2 * (gvmi::kThinBlock + 4096));
    EXPECT_EQ(use.blocks, 2u);
    EXPECT_TRUE(has(cache, blocks[0]));
    EXPECT_FALSE(has(cache, blocks[1]));
    EXPECT_FALSE(has(cache, blocks[2]));
    EXPECT_TRUE(has(cache, blocks[3]));
}

TEST_F(BlockCacheTest, KeepsLeasedBlocks) {
    BlockCache cache = this->cache();
    const auto a = random_bytes(5000, 1);
    const auto b = random_bytes(5000, 2);
    for (const auto& block : {a, b})
        ASSERT_TRUE(cache.store(thin::hash_of(block), block));
    {
        const gvmi::BlockHash hash = thin::hash_of(a);
        const BlockCache::Lease lease = cache.lease({&hash, 1});
        EXPECT_EQ(cache.prune(0).leased_blocks, 1u);
        EXPECT_TRUE(has(cache, a));
        EXPECT_FALSE(has(cache, b));
    }
    EXPECT_EQ(cache.prune(0).blocks, 0u);
    EXPECT_FALSE(has(cache, a));
}

TEST_F(BlockCacheTest, ForgetsTheLeaseOfAKilledProcess) {
    BlockCache cache = this->cache();
    const auto block = random_bytes(5000);
    ASSERT_TRUE(cache.store(thin::hash_of(block), block));
    const pid_t child = ::fork();
    if (child == 0) {
        const gvmi::BlockHash hash = thin::hash_of(block);
        const BlockCache::Lease lease = cache.lease({&hash, 1});
        (void)::raise(SIGKILL);
    }
    (void)::waitpid(child, nullptr, 0);
    EXPECT_FALSE(fs::is_empty(folder.path() / "blocks/leases"));
    EXPECT_EQ(cache.prune(0).blocks, 0u);
    EXPECT_TRUE(fs::is_empty(folder.path() / "blocks/leases"));
}

TEST_F(BlockCacheTest, StaysBelowItsLimit) {
    constexpr uint64_t kLimit = 32 << 20;
    BlockCache cache = this->cache(kLimit);
    for (unsigned i = 0; i < 600; i++) {  // 150 MiB
        const auto block = random_bytes(gvmi::kThinBlock, i);
        ASSERT_TRUE(cache.store(thin::hash_of(block), block));
    }
    EXPECT_LE(cache.use().bytes, kLimit + (64 << 20)) << "it looks once per 64 MiB";
}

TEST_F(BlockCacheTest, StoresNothingWhereTheDiskIsFull) {
    BlockCache cache(folder.path(), {.bytes = uint64_t{1} << 30, .free = uint64_t{1} << 60});
    const auto block = random_bytes(1000);
    EXPECT_FALSE(cache.store(thin::hash_of(block), block));
    EXPECT_TRUE(files().empty());
}

TEST_F(BlockCacheTest, LivesOnAfterItsFolderWasRemoved) {
    BlockCache cache = this->cache();
    const auto block = random_bytes(1000);
    ASSERT_TRUE(cache.store(thin::hash_of(block), block));
    fs::remove_all(folder.path() / "blocks");
    EXPECT_FALSE(has(cache, block));
    EXPECT_TRUE(cache.store(thin::hash_of(block), block));
    EXPECT_TRUE(has(cache, block));
}

TEST_F(BlockCacheTest, VerifiesAllBlocks) {
    BlockCache cache = this->cache();
    for (unsigned i = 0; i < 3; i++) {
        const auto block = random_bytes(1000, i);
        ASSERT_TRUE(cache.store(thin::hash_of(block), block));
    }
    std::ofstream(files().at(0), std::ios::in | std::ios::out | std::ios::binary).write("xxxx", 4);
    const BlockCache::Use use = cache.verify();
    EXPECT_EQ(use.blocks, 2u);
    EXPECT_EQ(use.damaged, 1u);
    EXPECT_EQ(files().size(), 2u);
}

TEST_F(BlockCacheTest, GivesOneTheTurn) {
    const BlockCache cache = this->cache();
    const base::UniqueFd mine = cache.open_turns();
    const base::UniqueFd other = cache.open_turns();
    const gvmi::BlockHash hash = thin::hash_of(random_bytes(10));
    EXPECT_TRUE(BlockCache::take_turn(mine, hash));
    EXPECT_FALSE(BlockCache::take_turn(other, hash));
    BlockCache::end_turn(mine, hash);
    EXPECT_TRUE(BlockCache::take_turn(other, hash));
}

TEST_F(BlockCacheTest, RefusesAFolderOfOthers) {
    fs::create_directories(folder.path() / "blocks");
    ASSERT_EQ(::chmod((folder.path() / "blocks").c_str(), 0777), 0);
    EXPECT_THAT([this] { (void)this->cache(); }, ThrowsMessage<base::Error>(HasSubstr("not a folder that belongs to this user alone")));
}

}  // namespace
