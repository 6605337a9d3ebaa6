#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <string_view>

namespace dbg {

// Something that asio can wait for until standard input has bytes or its end. Not open where waiting is not needed, as for a file. It
// leaves standard input's own flags alone, which other programs share. Throws SystemError.
boost::asio::posix::stream_descriptor pollable_standard_input(const boost::asio::any_io_executor& executor);

// The bytes of standard input: a terminal, a pipe, a socket or a file.
class StandardInput {
public:
    explicit StandardInput(const boost::asio::any_io_executor& executor) : ready_(pollable_standard_input(executor)) {}

    // The next bytes, at most 64 KiB, valid until the next call; none at the end, after `stop`, and where a terminal has gone. One call at
    // a time. Throws SystemError.
    boost::asio::awaitable<std::string_view> read();

    // Wakes a `read` that waits; all others return nothing at once.
    void stop();

private:
    boost::asio::posix::stream_descriptor ready_;
    std::array<char, 64 << 10> buffer_;
    bool stopped_ = false;
};

}  // namespace dbg
