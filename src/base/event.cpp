#include "base/event.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace base {
namespace asio = boost::asio;
using asio::awaitable;

void Event::notify() {
    for (asio::steady_timer& waiter : *waiters_)
        waiter.cancel();
}

awaitable<void> Event::wait() {
    return wait_until(waiters_, executor_, asio::steady_timer::time_point::max());
}

awaitable<void> Event::wait(std::chrono::steady_clock::duration limit) {
    return wait_until(waiters_, executor_, std::chrono::steady_clock::now() + limit);
}

awaitable<void> Event::wait_until(std::shared_ptr<Waiters> waiters, asio::any_io_executor executor,
                                  asio::steady_timer::time_point deadline) {
    // Removed by a destructor: a coroutine that is destroyed while it waits must not leave a timer of a destroyed io_context behind.
    struct Waiter {
        Waiters& all;
        Waiters::iterator timer;
        ~Waiter() { all.erase(timer); }
    } waiter{*waiters, waiters->emplace(waiters->end(), std::move(executor), deadline)};
    boost::system::error_code ignored;
    co_await waiter.timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace base
