#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace registry::server {

// The addresses whose first `bits` bits are those of `address`.
struct Network {
    boost::asio::ip::address address;  // an IPv4 address is never in IPv6's form
    unsigned bits = 0;
};

// "10.0.0.0/8", "fd00::/8", or one address. Throws base::Error.
Network parse_network(const std::string& text);

// Whose request it is: `peer`, or, where that is a proxy, whom the proxy names last in `forwarded` (the values of X-Forwarded-For, with
// commas between them), and so on from the right. The machine itself always counts as a proxy.
boost::asio::ip::address client_of(const boost::asio::ip::address& peer, std::string_view forwarded, const std::vector<Network>& proxies);

// What a client's limits are counted by: its IPv4 address, or its IPv6 network of 64 bits, which is one client's; empty for the machine
// itself.
std::string limited_address(const boost::asio::ip::address& client);

}  // namespace registry::server
