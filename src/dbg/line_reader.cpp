#include "dbg/line_reader.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/fd.h"

namespace dbg {
namespace asio = boost::asio;

// Standard input is shared with others, who would not expect it to be non-blocking, which asio makes what it waits for: so it waits for an
// epoll that holds it. A file cannot be waited for, and need not be.
LineReader::LineReader(const asio::any_io_executor& executor) : ready_(executor) {
    base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) base::throw_errno("cannot make an epoll");
    epoll_event event{.events = EPOLLIN, .data = {}};
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0) {
        ready_.assign(epoll.release());
    } else if (errno != EPERM) {
        base::throw_errno("cannot read standard input");
    }
}

asio::awaitable<std::optional<std::string>> LineReader::next() {
    for (;;) {
        if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            co_return line;
        }
        if (ended_) {
            if (buffer_.empty()) co_return std::nullopt;
            co_return std::exchange(buffer_, {});
        }
        if (ready_.is_open()) co_await ready_.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
        char block[4096];
        const ssize_t size = ::read(STDIN_FILENO, block, sizeof block);
        if (size < 0 && errno != EINTR && errno != EAGAIN) base::throw_errno("cannot read standard input");
        if (size == 0) ended_ = true;
        if (size > 0) buffer_.append(block, static_cast<size_t>(size));
    }
}

}  // namespace dbg
