#include <unistd.h>

#include "dbg/commands.h"
#include "dbg/input_lines.h"
#include "dbg/run_again.h"
#include "dbg/uses.h"
#include "dbg/write_out.h"

namespace dbg {
namespace asio = boost::asio;

asio::awaitable<int> use_again(Session& session) {
    Commands commands(session);
    bool interrupted = false;
    // The keyboard's signal is the command's, and the end of it all behind that.
    const auto signal = [&commands, &interrupted](int number) {
        interrupted = commands.take_signal(number);
        return interrupted;
    };
    session.set_hooks({.signal = signal, .ending = {}});
    const RepeatedCommand command{.run = [&commands, &session] { return commands.run(session.options().run_again.value_or("")); },
                                  .signal = [&commands](int number) { commands.send(number); },
                                  .ended = [](int code, double seconds) { write_out(STDERR_FILENO, exit_line(code, seconds)); },
                                  .stopped = [&interrupted] { return interrupted; }};
    co_return co_await run_again(session.io().get_executor(), session.synced(), command);
}

}  // namespace dbg
