#include "dbg/line_reader.h"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "dbg/standard_input.h"

namespace dbg {
namespace asio = boost::asio;

LineReader::LineReader(const asio::any_io_executor& executor) : ready_(pollable_standard_input(executor)) {}

bool LineReader::take_line(std::optional<std::string>& line) {
    const size_t end = buffer_.find('\n');
    if (end == std::string::npos && !ended_) return false;
    line.reset();
    if (end != std::string::npos) {
        line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
    } else if (!buffer_.empty()) {
        line = std::exchange(buffer_, {});
    }
    return true;
}

void LineReader::read_some() {
    char block[4096];
    const ssize_t size = ::read(STDIN_FILENO, block, sizeof block);
    if (size < 0 && errno != EINTR && errno != EAGAIN) base::throw_errno("cannot read standard input");
    if (size == 0) ended_ = true;
    if (size > 0) buffer_.append(block, static_cast<size_t>(size));
}

void LineReader::next(Handler handler) {
    std::optional<std::string> line;
    while (!take_line(line)) {
        if (ready_.is_open()) {
            ready_.async_wait(asio::posix::descriptor_base::wait_read,
                              [this, handler = std::move(handler)](boost::system::error_code error) mutable {
                                  if (error == asio::error::operation_aborted) return;
                                  read_some();
                                  next(std::move(handler));
                              });
            return;
        }
        read_some();
    }
    asio::post(ready_.get_executor(), [handler = std::move(handler), line = std::move(line)]() mutable { handler(std::move(line)); });
}

}  // namespace dbg
