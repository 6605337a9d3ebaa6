#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <string_view>

namespace dbg {

// Our standard output or error. A reader that is slow holds up nobody but the caller.
class StandardOutput {
public:
    StandardOutput(const boost::asio::any_io_executor& executor, int fd);

    // Writes all of it. One call at a time. Throws SystemError, with EPIPE where the reader has gone.
    boost::asio::awaitable<void> write(std::string_view data);

private:
    int fd_;
    boost::asio::posix::stream_descriptor own_;  // not open: written to without waiting, as to a file
};

}  // namespace dbg
