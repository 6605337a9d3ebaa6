#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "dbg/attached.h"
#include "dbg/commands.h"
#include "dbg/debug_run.h"
#include "dbg/uses.h"
#include "dbg/words.h"

namespace dbg {
namespace asio = boost::asio;
namespace {

// As Commands does it: the shell of choice, else sh, else the line is split here.
std::vector<debug::Run> ways_to_run(const Options& options, bool terminal) {
    const std::string& line = options.command.value();
    std::vector<debug::Run> choices{debug_run(options, {"/bin/" + options.shell, "-c", line}, terminal)};
    if (options.shell != "sh") choices.push_back(debug_run(options, {"/bin/sh", "-c", line}, terminal));
    try {
        const std::vector<std::string> words = split_words(line);
        if (!words.empty()) choices.push_back(debug_run(options, words, terminal));
    } catch (const base::Error&) {  // a shell may understand it
    }
    return choices;
}

}  // namespace

asio::awaitable<int> use_once(Session& session) {
    Commands commands(session);
    session.set_hooks({.signal = [&commands](int signal) { return commands.take_signal(signal); }, .ending = {}});
    co_return co_await commands.run(session.options().command.value_or(""));
}

asio::awaitable<int> use_once_attached(Session& session) {
    const bool terminal = wants_terminal(session.options());
    std::vector<debug::Run> choices = ways_to_run(session.options(), terminal);
    // A terminal's keys are for whoever is in its foreground, which we may not be.
    for (debug::Run& run : choices)
        run.set_input(terminal || ::isatty(STDIN_FILENO) == 0);
    co_return co_await use_attached(session, std::move(choices));
}

}  // namespace dbg
