#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dbg/lines/completion.h"

namespace dbg {

// Lines that a person types at a terminal, with GNU readline: editing, a history that stays (history.h), completion. Standard input and
// standard error are the terminal. It waits in the executor's io_context and blocks nothing else there. Between two lines the terminal is
// as it was before; the destructor sees to that, too. One at a time, since readline has one state for the whole program.
class LineEditor {
public:
    // Finds the guest's paths that begin with a text, and calls back once, in bounded time, not from within the call.
    using Done = std::function<void(std::vector<Candidate>)>;
    using Completer = std::function<void(const std::string& prefix, Done)>;

    // An empty `history` keeps none. `completer` may be empty.
    LineEditor(const boost::asio::any_io_executor& executor, std::filesystem::path history, Completer completer);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    using Handler = std::function<void(std::optional<std::string>)>;

    // Calls the handler once, not from within this call, with the next line, or with nothing at the end of the input (Ctrl-D).
    void next(const std::string& prompt, Handler handler);

    // Ctrl-C at the prompt: shows the prompt again with an empty line.
    void clear();

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace dbg
