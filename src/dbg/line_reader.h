#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>
#include <string>

namespace dbg {

// Lines from standard input, whatever that is: a terminal in its ordinary line mode, a pipe or a file. What it does not need yet stays
// unread or, where it came with an earlier line, is kept for the next.
class LineReader {
public:
    explicit LineReader(const boost::asio::any_io_executor& executor);

    // The next line without its newline; nothing at the end of the input. Throws SystemError.
    boost::asio::awaitable<std::optional<std::string>> next();

private:
    boost::asio::posix::stream_descriptor ready_;  // closed where there is nothing to wait for
    std::string buffer_;
    bool ended_ = false;
};

}  // namespace dbg
