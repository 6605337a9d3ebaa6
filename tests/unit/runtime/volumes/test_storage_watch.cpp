#include "runtime/volumes/storage_watch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/temporary_folder.h"
#include "runtime/volumes/storage_use.h"
#include "storage_files.h"

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using storage_test::fill;
using storage_test::nest;
using storage_test::opened;
using testing::HasSubstr;

class StorageWatch : public testing::Test {
protected:
    void start(uint64_t limit) {
        fs::create_directories(volumes());
        std::ofstream(folder_.path() / "disk") << "";
        runtime::WatchedStorage storage{.disks = {}, .volumes = opened(volumes()), .limit = limit};
        storage.disks.push_back(base::open_file(folder_.path() / "disk", O_RDWR));
        watch_.emplace(io_.get_executor(), std::move(storage), [this](const std::string& reason) {
            EXPECT_EQ(reason_, "");
            reason_ = reason;
        });
    }
    void until(const std::function<bool()>& condition) {
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (!condition()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "what the test waits for did not happen in time";
            io_.run_one_for(10ms);
        }
    }
    fs::path volumes() const { return folder_.path() / "volumes"; }
    fs::path disk() const { return folder_.path() / "disk"; }

    base::TemporaryFolder folder_;
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::string reason_;
    std::optional<runtime::StorageWatch> watch_;
};

TEST_F(StorageWatch, TellsWhatDisksAndVolumesHold) {
    start(0);
    fill(disk(), 1 << 20);
    EXPECT_GE(watch_->used(), 1U << 20);  // at once
    fill(volumes() / "file", 2 << 20);
    until([this] { return watch_->used() >= 3U << 20; });
    fs::remove(volumes() / "file");
    until([this] { return watch_->used() < 2U << 20; });
    EXPECT_EQ(reason_, "");
}

TEST_F(StorageWatch, TheLimitIsOfAllTogether) {
    start(4 << 20);
    fill(disk(), 2 << 20);
    fill(volumes() / "file", 1 << 20);
    until([this] { return watch_->used() >= 3U << 20; });
    EXPECT_EQ(reason_, "");
    fill(volumes() / "more", 3 << 19);
    until([this] { return !reason_.empty(); });
    EXPECT_THAT(reason_, HasSubstr("its root and volumes took 4.5 MiB of the provider's disk, and may take 4.0 MiB"));
}

TEST_F(StorageWatch, ManyEmptyFilesReachTheLimit) {
    start(100 * runtime::kInodeBytes);
    for (int i = 0; i < 101; i++)
        std::ofstream(volumes() / std::to_string(i)) << "";
    until([this] { return !reason_.empty(); });
}

TEST_F(StorageWatch, TheLimitIsOfRemovedFilesToo) {
    fs::create_directories(volumes());
    fill(volumes() / "file", 2 << 20);
    const base::UniqueFd held = base::open_file(volumes() / "file", O_RDONLY);
    fs::remove(volumes() / "file");
    runtime::WatchedStorage storage{.disks = {}, .volumes = opened(volumes()), .qemu = ::getpid(), .limit = 1 << 20};
    watch_.emplace(io_.get_executor(), std::move(storage), [this](const std::string& reason) { reason_ = reason; });
    until([this] { return !reason_.empty(); });
}

TEST_F(StorageWatch, ATreeThatIsTooDeepIsAReason) {
    start(0);
    (void)nest(volumes(), runtime::kMaxNesting + 2);
    until([this] { return !reason_.empty(); });
    EXPECT_EQ(reason_, "the folders in its host volumes are nested deeper than 512 levels");
    runtime::make_removable(opened(volumes()).get(), false);
}

TEST_F(StorageWatch, SaysNothingAfterItsEnd) {
    start(1);
    fill(volumes() / "file", 1 << 20);
    // The reason waits in the executor, which does not run.
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (watch_->used() == 0 && std::chrono::steady_clock::now() < deadline)
        ::usleep(1000);
    watch_.reset();
    io_.poll();
    EXPECT_EQ(reason_, "");
}

}  // namespace
