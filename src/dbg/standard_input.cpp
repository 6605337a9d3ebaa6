#include "dbg/standard_input.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "base/error.h"
#include "base/fd.h"

namespace dbg {
namespace asio = boost::asio;

// asio makes a descriptor non-blocking to wait for it, but standard input is shared with programs that do not expect that. So asio waits
// for an epoll that holds it. A file cannot be waited for, and need not be.
asio::posix::stream_descriptor pollable_standard_input(const asio::any_io_executor& executor) {
    asio::posix::stream_descriptor ready(executor);
    base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) base::throw_errno("cannot make an epoll");
    epoll_event event{.events = EPOLLIN, .data = {}};
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0) {
        ready.assign(epoll.release());
    } else if (errno != EPERM) {
        base::throw_errno("cannot read standard input");
    }
    return ready;
}

asio::awaitable<std::string_view> StandardInput::read() {
    while (!stopped_) {
        if (ready_.is_open()) {
            boost::system::error_code error;  // of `stop` only
            co_await ready_.async_wait(asio::posix::descriptor_base::wait_read, asio::redirect_error(asio::use_awaitable, error));
            if (stopped_ || error) break;
        }
        const ssize_t size = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
        if (size >= 0) co_return std::string_view(buffer_.data(), static_cast<size_t>(size));
        if (errno == EIO) break;  // the terminal has gone, or we are in its background
        if (errno != EINTR && errno != EAGAIN) base::throw_errno("cannot read standard input");
    }
    co_return std::string_view();
}

void StandardInput::stop() {
    stopped_ = true;
    boost::system::error_code ignored;
    ready_.cancel(ignored);
}

}  // namespace dbg
