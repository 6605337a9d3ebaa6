#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

#include "dbg/line_reader.h"
#include "dbg/lines/line_editor.h"

namespace dbg {

// The lines that a debugger is given: at a terminal with a prompt, editing and history (lines/line_editor.h), else as they come
// (line_reader.h).
class InputLines {
public:
    // `completer` is for a terminal, and may be empty. Throws base::Error.
    InputLines(const boost::asio::any_io_executor& executor, LineEditor::Completer completer);

    // The next line without its newline; nothing at the end of the input. One call at a time.
    boost::asio::awaitable<std::optional<std::string>> next(std::string prompt);

    // Ctrl-C: the prompt begins anew. Returns false where no prompt is shown.
    bool clear();

    // Gives the terminal back, before an end that no line brought.
    void restore() { editor_.reset(); }

private:
    boost::asio::any_io_executor executor_;
    bool interactive_;
    std::optional<LineEditor> editor_;
    std::optional<LineReader> reader_;
    std::string prompt_;      // of the reader
    bool prompting_ = false;  // the prompt is shown and no line has come yet
};

// "[exit 3, 0.42 s]\n"
std::string exit_line(int code, double seconds);

}  // namespace dbg
