#include "runtime/volumes/share_sync.h"

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/worker.h"
#include "runtime/volumes/share_watcher.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
namespace {

// Between two syncs that nobody waits for. inotify queues 16,384 events.
constexpr auto kPause = std::chrono::milliseconds(50);

}  // namespace

class ShareSync::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, const std::filesystem::path& share, const std::filesystem::path& staging, GuestOwner owner)
        : executor_(executor), tree_(share, staging, owner), changes_(executor), pause_(executor), living_pause_(executor) {
        if (tree_.events()) changes_.assign(base::copy_of(tree_.events()).release());
    }

    static void start(const std::shared_ptr<State>& self) { asio::co_spawn(self->executor_, keep_syncing(self), asio::detached); }

    void stop() {
        stopped_ = true;
        tree_.stop();
        boost::system::error_code ignored;
        changes_.cancel(ignored);
        pause_.cancel(ignored);
        living_pause_.cancel(ignored);
        worker_.join();
    }

    // Syncs on the thread, after everything requested before. From then on `more_running` more (or fewer) processes run.
    static awaitable<void> sync(const std::shared_ptr<State>& self, int more_running) {
        return self->worker_.run([self, more_running] {
            self->running_ += more_running;
            self->sync_now();
        });
    }

    static awaitable<void> vm_ended(std::shared_ptr<State> self) {
        self->living_ = false;
        co_await sync(self, 0);
        // It has a name, since GCC 12 destroys a function's temporary twice in an argument of co_await.
        std::function<void()> work = [self] {
            self->tree_.give_back();  // first: a walk through many folders may be cut short by the end of our process
            self->tree_.make_removable();
        };
        co_await self->worker_.run(std::move(work));
    }

    // The guest may say this as often as it likes.
    void set_living(const std::shared_ptr<State>& self, bool any) {
        living_ = any;
        if (!std::exchange(syncing_soon_, true)) asio::co_spawn(executor_, sync_soon(self), asio::detached);
    }

private:
    static awaitable<void> sync_soon(std::shared_ptr<State> self) {
        boost::system::error_code ignored;
        self->living_pause_.expires_after(kPause);
        co_await self->living_pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        self->syncing_soon_ = false;
        if (!self->stopped_) co_await sync(self, 0);
    }

    void sync_now() {
        try {
            tree_.sync(running_ > 0 || living_);
        } catch (const std::exception& e) {
            spdlog::error("cannot sync the volumes: {}", e.what());
        }
    }

    static awaitable<void> keep_syncing(std::shared_ptr<State> self) {
        boost::system::error_code ignored;
        co_await sync(self, 0);
        while (!self->stopped_ && self->changes_.is_open()) {
            co_await self->changes_.async_wait(asio::posix::stream_descriptor::wait_read,
                                               asio::redirect_error(asio::use_awaitable, ignored));
            if (self->stopped_) co_return;
            self->pause_.expires_after(kPause);
            co_await self->pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            if (self->stopped_) co_return;
            co_await sync(self, 0);
        }
    }

    asio::any_io_executor executor_;
    ShareWatcher tree_;                       // the worker's, except for `stop`
    int running_ = 0;                         // the worker's
    asio::posix::stream_descriptor changes_;  // tree_'s events
    asio::steady_timer pause_;
    asio::steady_timer living_pause_;
    std::atomic<bool> living_ = false;
    bool syncing_soon_ = false;
    bool stopped_ = false;
    base::Worker worker_{executor_};
};

ShareSync::ShareSync(const asio::any_io_executor& executor, const std::filesystem::path& share, const std::filesystem::path& staging,
                     GuestOwner owner)
    : state_(std::make_shared<State>(executor, share, staging, owner)) {
    State::start(state_);
}

ShareSync::~ShareSync() {
    state_->stop();
}

awaitable<void> ShareSync::process_starts() {
    return State::sync(state_, 1);
}

awaitable<void> ShareSync::process_ended() {
    return State::sync(state_, -1);
}

void ShareSync::set_living(bool any) {
    state_->set_living(state_, any);
}

awaitable<void> ShareSync::vm_ended() {
    return State::vm_ended(state_);
}

}  // namespace runtime
