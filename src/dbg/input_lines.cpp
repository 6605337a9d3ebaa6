#include "dbg/input_lines.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/event.h"
#include "dbg/lines/history.h"

namespace dbg {
namespace asio = boost::asio;
namespace {

void show_prompt(const std::string& prompt) {
    (void)std::fputs(prompt.c_str(), stderr);
    (void)std::fflush(stderr);
}

}  // namespace

InputLines::InputLines(const asio::any_io_executor& executor, LineEditor::Completer completer)
    : executor_(executor), interactive_(::isatty(STDIN_FILENO) != 0) {
    // What editing writes to the screen goes to standard error.
    if (interactive_ && ::isatty(STDERR_FILENO)) {
        editor_.emplace(executor, history_file(), std::move(completer));
    } else {
        reader_.emplace(executor);
    }
}

asio::awaitable<std::optional<std::string>> InputLines::next(std::string prompt) {
    std::optional<std::string> line;
    base::Event arrived(executor_);
    bool read = false;
    const auto take = [&](std::optional<std::string> next_line) {
        line = std::move(next_line);
        read = true;
        arrived.notify();
    };
    prompt_ = std::move(prompt);
    prompting_ = interactive_;
    if (editor_) {
        editor_->next(prompt_, take);
    } else {
        if (interactive_) show_prompt(prompt_);
        reader_->next(take);
    }
    while (!read)
        co_await arrived.wait();
    prompting_ = false;
    co_return line;
}

bool InputLines::clear() {
    if (!prompting_) return false;
    if (editor_) {
        editor_->clear();
    } else {
        show_prompt("\n" + prompt_);
    }
    return true;
}

std::string exit_line(int code, double seconds) {
    return fmt::format("[exit {}, {:.2f} s]\n", code, seconds);
}

}  // namespace dbg
