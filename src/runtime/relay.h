#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "base/fd.h"

namespace runtime {

// Waits in the background for one connection and passes bytes between it and the socket `machine` (AF_UNIX) both ways, until either end
// closes. What the machine sends before the peer is there waits in the socket.
void start_relay(boost::asio::ip::tcp::acceptor acceptor, base::UniqueFd machine);

}  // namespace runtime
