#include "runtime/volumes/storage_watch.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/size.h"
#include "runtime/volumes/storage_use.h"

namespace runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kInterval = std::chrono::seconds(1);
constexpr int kRest = 100;  // times as long as a look at the volumes took
constexpr int kShortRest = 4;

}  // namespace

class StorageWatch::State : public std::enable_shared_from_this<State> {
public:
    State(const boost::asio::any_io_executor& executor, WatchedStorage storage, std::function<void(const std::string&)> exceeded)
        : executor_(executor), storage_(std::move(storage)), exceeded_(std::move(exceeded)) {}

    void start() {
        thread_ = std::thread([this] { watch(); });
    }

    // From the executor's thread.
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        stopping_.notify_all();
        thread_.join();
    }

    uint64_t disk_bytes() const {
        uint64_t bytes = 0;
        for (const base::UniqueFd& disk : storage_.disks) {
            struct stat status {};
            if (::fstat(disk.get(), &status) == 0) bytes += allocated(status);
        }
        return bytes;
    }
    uint64_t used() const { return disk_bytes() + below_bytes_; }

private:
    void watch() {
        std::unique_lock lock(mutex_);
        while (!stopped_) {
            lock.unlock();
            look();
            lock.lock();
            stopping_.wait_for(lock, kInterval, [this] { return stopped_.load(); });
        }
    }

    void look() {
        const auto begin = Clock::now();
        const uint64_t free = free_bytes();
        const uint64_t lost = free_before_ - std::min(free, free_before_);
        const uint64_t elsewhere =
            storage_.limit == 0 ? 0 : disk_bytes() + unnamed_bytes(storage_.qemu, storage_.volumes.get(), storage_.disks);
        const auto held = [this, elsewhere] { return elsewhere + below_.bytes + below_.inodes; };
        const bool may_be_over = storage_.limit > 0 && held() + lost > storage_.limit;
        if (begin >= (may_be_over ? soonest_ : next_)) {
            below_ = storage_below(storage_.volumes.get(), stopped_);
            below_bytes_ = below_.bytes;
            free_before_ = free;
            const auto end = Clock::now();
            soonest_ = end + kShortRest * (end - begin);
            next_ = end + kRest * (end - begin);
        }
        check(held());
    }

    void check(uint64_t bytes) {
        if (told_ || stopped_) return;
        if (storage_.limit > 0 && bytes > storage_.limit) {
            tell(fmt::format("its root and volumes took {} of the provider's disk, and may take {}", base::format_size(bytes),
                             base::format_size(storage_.limit)));
        } else if (below_.too_deep > 0) {
            tell(fmt::format("the folders in its host volumes are nested deeper than {} levels", below_.too_deep));
        }
    }

    void tell(std::string reason) {
        told_ = true;
        boost::asio::post(executor_, [self = shared_from_this(), reason = std::move(reason)] {
            if (!self->stopped_) self->exceeded_(reason);
        });
    }

    uint64_t free_bytes() const {
        struct statvfs status {};
        if (::fstatvfs(storage_.volumes.get(), &status) < 0) return 0;
        return uint64_t{status.f_bfree} * status.f_frsize;
    }

    boost::asio::any_io_executor executor_;
    const WatchedStorage storage_;
    const std::function<void(const std::string&)> exceeded_;
    std::atomic<uint64_t> below_bytes_ = 0;
    std::atomic<bool> stopped_ = false;
    std::mutex mutex_;  // so that a stop is not missed
    std::condition_variable stopping_;

    // The thread's.
    StorageUse below_;
    uint64_t free_before_ = 0;  // when the volumes were looked at
    Clock::time_point soonest_;
    Clock::time_point next_;
    bool told_ = false;

    std::thread thread_;
};

StorageWatch::StorageWatch(const boost::asio::any_io_executor& executor, WatchedStorage storage,
                           std::function<void(const std::string& reason)> exceeded)
    : state_(std::make_shared<State>(executor, std::move(storage), std::move(exceeded))) {
    state_->start();
}

StorageWatch::~StorageWatch() {
    state_->stop();
}

uint64_t StorageWatch::used() const {
    return state_->used();
}

}  // namespace runtime
