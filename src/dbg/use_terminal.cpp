#include <cerrno>
#include <csignal>
#include <utility>

#include "base/error.h"
#include "dbg/attached.h"
#include "dbg/debug_run.h"
#include "dbg/uses.h"

namespace dbg {
namespace asio = boost::asio;

debug::Run debug_run(const Options& options, const std::vector<std::string>& words, bool terminal) {
    debug::Run run;
    run.set_bin(words[0]);
    for (const std::string& word : words)
        run.add_args(word);
    run.set_args(0, words[0].substr(words[0].rfind('/') + 1));
    run.set_user(options.user);
    run.set_work_dir(options.work_dir);
    for (const std::string& variable : passed_environment(options.environment, terminal))
        run.add_env(variable);
    if (terminal) (void)run.mutable_terminal();
    return run;
}

asio::awaitable<int> use_attached(Session& session, std::vector<debug::Run> choices) {
    Attached attached(session.io(), session.debug_socket());
    session.set_hooks({.signal = [&attached](int signal) { return attached.take_signal(signal); },
                       .ending = [&attached] { attached.restore_terminal(); }});
    try {
        co_return co_await attached.run(std::move(choices));
    } catch (const base::SystemError& e) {
        if (e.error_number() != EPIPE) throw;
        co_return 128 + SIGPIPE;  // like any program whose reader has gone
    }
}

asio::awaitable<int> use_terminal(Session& session) {
    const Options& options = session.options();
    std::vector<debug::Run> choices{debug_run(options, {"/bin/" + options.shell}, true)};
    if (options.shell != "sh") choices.push_back(debug_run(options, {"/bin/sh"}, true));
    co_return co_await use_attached(session, std::move(choices));
}

}  // namespace dbg
