#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/fd.h"

namespace runtime {

// Passes a card's frames between its peer and the socket `machine` (AF_UNIX) both ways, in the background, until either end closes; then it
// closes the other. Invalid frames from the peer (frame_filter.h) are dropped. The log names the card.
void start_relay(std::string card, boost::asio::ip::tcp::socket peer, base::UniqueFd machine);

// Like start_relay, with the first peer that connects and belongs to our own user or to root (peer_owner.h). Others are refused. What the
// machine sends before then waits in the socket.
void start_relay(std::string card, boost::asio::ip::tcp::acceptor acceptor, base::UniqueFd machine);

}  // namespace runtime
