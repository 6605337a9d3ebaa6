#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <utility>

namespace base {

// Wakes coroutines of one thread that wait for a condition: `while (!done) co_await event.wait();`, and `notify` where `done` is set. It
// holds no state: a `notify` without a waiter is lost. The destructor notifies a last time.
class Event {
public:
    explicit Event(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
    ~Event() { notify(); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    // Wakes every coroutine that waits now.
    void notify();

    boost::asio::awaitable<void> wait();

    // Waits for `limit` at most. Any number of coroutines may wait, each with its own limit or with none.
    boost::asio::awaitable<void> wait(std::chrono::steady_clock::duration limit);

private:
    using Waiters = std::list<boost::asio::steady_timer>;  // one per wait; its cancellation is the notification
    static boost::asio::awaitable<void> wait_until(std::shared_ptr<Waiters> waiters, boost::asio::any_io_executor executor,
                                                   boost::asio::steady_timer::time_point deadline);

    boost::asio::any_io_executor executor_;
    std::shared_ptr<Waiters> waiters_ = std::make_shared<Waiters>();  // also held by each coroutine that waits
};

}  // namespace base
