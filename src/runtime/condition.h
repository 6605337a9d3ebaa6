#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace runtime {

// What coroutines of one thread wait for: `while (!done) co_await condition.wait();`, and `notify` where `done` is set.
class Condition {
public:
    explicit Condition(const boost::asio::any_io_executor& executor);

    void notify();  // wakes all who wait now
    boost::asio::awaitable<void> wait();
    // At most so long; a condition that is waited for so has one who waits.
    boost::asio::awaitable<void> wait(std::chrono::steady_clock::duration limit);

private:
    boost::asio::steady_timer timer_;  // its cancellation is the notification
    boost::system::error_code ignored_;
};

}  // namespace runtime
