#include "runtime/condition.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace runtime {
namespace asio = boost::asio;

Condition::Condition(const asio::any_io_executor& executor) : timer_(executor, asio::steady_timer::time_point::max()) {}

void Condition::notify() {
    timer_.cancel(ignored_);
}

asio::awaitable<void> Condition::wait() {
    return timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored_));
}

asio::awaitable<void> Condition::wait(std::chrono::steady_clock::duration limit) {
    timer_.expires_after(limit);
    return wait();
}

}  // namespace runtime
