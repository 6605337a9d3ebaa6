#include "dbg/standard_output.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>

#include "base/error.h"
#include "dbg/write_out.h"

namespace dbg {
namespace asio = boost::asio;

// A non-blocking descriptor would be so for all programs that share it. A pipe and a terminal can be opened a second time; what cannot be
// (a socket, another user's terminal) is written to as a file is.
StandardOutput::StandardOutput(const asio::any_io_executor& executor, int fd) : fd_(fd), own_(executor) {
    struct stat status = {};
    if (::fstat(fd, &status) != 0 || !(S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))) return;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int opened = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (opened < 0) return;
    boost::system::error_code cannot_wait;  // of /dev/null
    own_.assign(opened, cannot_wait);
    if (cannot_wait) ::close(opened);
}

asio::awaitable<void> StandardOutput::write(std::string_view data) {
    if (!own_.is_open()) {
        write_out(fd_, data);
        co_return;
    }
    boost::system::error_code error;
    co_await asio::async_write(own_, asio::buffer(data), asio::redirect_error(asio::use_awaitable, error));
    if (error) throw base::SystemError(error.value(), "cannot write the output");
}

}  // namespace dbg
