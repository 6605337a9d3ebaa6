#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/fd.h"

namespace runtime {

// Passes the frames of a card between its peer and the socket `machine` (AF_UNIX) both ways, in the background, until either end closes;
// then the other is closed too. What comes from the peer and is no frame (frame_filter.h) is left out. The log names the card.
void start_relay(std::string card, boost::asio::ip::tcp::socket peer, base::UniqueFd machine);

// The same with the first peer that connects. What the machine sends before it is there waits in the socket.
void start_relay(std::string card, boost::asio::ip::tcp::acceptor acceptor, base::UniqueFd machine);

}  // namespace runtime
