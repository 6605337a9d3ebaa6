#include "dbg/synced_folders.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/event.h"
#include "base/temporary_folder.h"
#include "base/worker.h"
#include "dbg/volumes/folder_sync.h"

namespace dbg {
namespace asio = boost::asio;
using asio::awaitable;
using Clock = std::chrono::steady_clock;
namespace {

constexpr Clock::duration kPause = std::chrono::milliseconds(20);

struct Watched {
    Watched(const asio::any_io_executor& executor, const SyncedFolder& folder, const std::filesystem::path& staging)
        : sync(folder.source, folder.target, staging), events(executor, base::copy_of(sync.events()).release()), pause(executor) {}

    FolderSync sync;  // the worker's, except for `stop`
    asio::posix::stream_descriptor events;
    asio::steady_timer pause;
};

// What is copied would be found as new there, and copied again.
void refuse_own_copies(const std::filesystem::path& source, const std::filesystem::path& workdir) {
    std::error_code error;
    const auto outer = std::filesystem::canonical(source, error);
    const auto inner = std::filesystem::canonical(workdir, error);
    const auto [end, _] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
    if (!error && end == outer.end())
        throw base::Error("cannot sync " + source.string() + ": the VM's folder is in it (" + inner.string() +
                          "); choose another --workdir");
}

}  // namespace

class SyncedFolders::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, const std::vector<SyncedFolder>& folders, const std::filesystem::path& workdir)
        : executor_(executor), staging_(workdir, "sync-"), copied_(executor) {
        folders_.reserve(folders.size());
        for (const SyncedFolder& folder : folders) {
            refuse_own_copies(folder.source, workdir);
            folders_.push_back(std::make_unique<Watched>(executor, folder, staging_.path()));
        }
    }

    static awaitable<void> begin(std::shared_ptr<State> self) {
        for (const auto& folder : self->folders_) {
            (void)co_await sync(self, *folder);
            self->raise();
            asio::co_spawn(self->executor_, keep_syncing(self, *folder), asio::detached);
        }
    }

    static awaitable<void> changed(std::shared_ptr<State> self) {
        while (!self->any_ && !self->failure_)
            co_await self->copied_.wait();
        self->raise();
        self->any_ = false;
    }

    void stop() {
        stopped_ = true;
        boost::system::error_code ignored;
        for (const auto& folder : folders_) {
            folder->sync.stop();
            folder->events.cancel(ignored);
            folder->pause.cancel(ignored);
        }
        worker_.join();
    }

private:
    void raise() const {
        if (failure_) std::rethrow_exception(failure_);
    }

    // Returns whether anything was copied; a failure is kept.
    static awaitable<bool> sync(std::shared_ptr<State> self, Watched& folder) {
        const auto any = std::make_shared<bool>(false);
        const std::function<void()> work = [self, &folder, any] { *any = folder.sync.sync(); };
        try {
            co_await self->worker_.run(work);
        } catch (...) {
            self->failure_ = std::current_exception();
        }
        co_return *any;
    }

    static awaitable<void> wait(Watched& folder, Clock::duration time) {
        boost::system::error_code ignored;
        folder.pause.expires_after(time);
        co_await folder.pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }

    static awaitable<void> keep_syncing(std::shared_ptr<State> self, Watched& folder) {
        boost::system::error_code ignored;
        while (!self->stopped_ && !self->failure_) {
            co_await folder.events.async_wait(asio::posix::stream_descriptor::wait_read,
                                              asio::redirect_error(asio::use_awaitable, ignored));
            if (!self->stopped_) co_await wait(folder, kPause);
            if (self->stopped_) co_return;
            const auto begin = Clock::now();
            const bool any = co_await sync(self, folder);
            const auto took = Clock::now() - begin;
            self->any_ = self->any_ || any;
            if (any || self->failure_) self->copied_.notify();
            if (took > kPause && !self->stopped_) co_await wait(folder, took);
        }
    }

    asio::any_io_executor executor_;
    base::TemporaryFolder staging_;
    std::vector<std::unique_ptr<Watched>> folders_;
    base::Event copied_;
    bool any_ = false;  // since `changed` returned last
    bool stopped_ = false;
    std::exception_ptr failure_;
    base::Worker worker_{executor_};
};

SyncedFolders::SyncedFolders(const asio::any_io_executor& executor, const std::vector<SyncedFolder>& folders,
                             const std::filesystem::path& workdir)
    : state_(std::make_shared<State>(executor, folders, workdir)) {}

SyncedFolders::~SyncedFolders() {
    state_->stop();
}

awaitable<void> SyncedFolders::begin() {
    return State::begin(state_);
}

awaitable<void> SyncedFolders::changed() {
    return State::changed(state_);
}

}  // namespace dbg
