// Ways of using a VM, a file each. Each is a Session::Use.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "dbg/session.h"

namespace dbg {

// Lines of standard input (use_lines.cpp); the exit code is the last one's.
boost::asio::awaitable<int> use_lines(Session& session);

// The one command of --exec (use_once.cpp): as a requestor's, whose standard input is empty, or by the debug channel with our standard
// streams.
boost::asio::awaitable<int> use_once(Session& session);
boost::asio::awaitable<int> use_once_attached(Session& session);

// A shell of the image at our terminal, by the debug channel (use_terminal.cpp).
boost::asio::awaitable<int> use_terminal(Session& session);

// The exe script of --script, which deploys and starts, too (use_script.cpp).
boost::asio::awaitable<int> use_script(Session& session);

// The command of --run, again after each change of the synced folders (use_again.cpp).
boost::asio::awaitable<int> use_again(Session& session);

}  // namespace dbg
