#pragma once

#include <sys/types.h>

#include <boost/asio/ip/tcp.hpp>
#include <optional>

namespace runtime {

// The user whose process holds the other end of a TCP connection over the loopback, as the kernel lists it (proc_net_tcp.txt). Nothing
// where that end is on another host, has been closed, or cannot be looked up.
std::optional<uid_t> owner_of_peer(const boost::asio::ip::tcp::socket& socket);

}  // namespace runtime
