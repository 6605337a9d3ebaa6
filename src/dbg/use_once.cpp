#include "dbg/commands.h"
#include "dbg/uses.h"

namespace dbg {
namespace asio = boost::asio;

asio::awaitable<int> use_once(Session& session) {
    Commands commands(session);
    session.set_hooks({.signal = [&commands](int signal) { return commands.take_signal(signal); }, .ending = {}});
    co_return co_await commands.run(session.options().command.value_or(""));
}

}  // namespace dbg
