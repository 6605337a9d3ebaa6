#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <optional>
#include <string>

namespace dbg {

// Lines from standard input, whatever that is: a terminal in its ordinary line mode, a pipe or a file. Bytes after the line stay unread or,
// where they came with it, are kept for the next one.
class LineReader {
public:
    explicit LineReader(const boost::asio::any_io_executor& executor);

    using Handler = std::function<void(std::optional<std::string>)>;

    // Calls the handler once, not from within this call, with the next line without its newline, or with nothing at the end of the input.
    // One call at a time. A failed read throws SystemError out of the io_context.
    void next(Handler handler);

private:
    bool take_line(std::optional<std::string>& line);  // false: more bytes are needed
    void read_some();

    boost::asio::posix::stream_descriptor ready_;  // closed where waiting is not needed
    std::string buffer_;
    bool ended_ = false;
};

}  // namespace dbg
