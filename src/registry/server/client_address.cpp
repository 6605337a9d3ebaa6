#include "registry/server/client_address.h"

#include <algorithm>
#include <boost/asio/ip/network_v6.hpp>

#include "base/error.h"
#include "base/trimmed.h"

namespace registry::server {
namespace {

namespace ip = boost::asio::ip;

constexpr int kMostProxies = 16;  // one behind another

// An IPv4 address in IPv6's form is an IPv4 address.
ip::address plain(const ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6());
    return address;
}

// With an IPv4 address in IPv6's form, so that there is one kind of bits.
ip::address_v6::bytes_type bytes_of(const ip::address& address) {
    return (address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6()).to_bytes();
}

bool contains(const Network& network, const ip::address& address) {
    if (network.address.is_v4() != address.is_v4()) return false;
    constexpr unsigned kMappedBits = 96;
    const unsigned bits = network.bits + (address.is_v4() ? kMappedBits : 0);
    const auto first = ip::network_v6(ip::address_v6(bytes_of(network.address)), static_cast<unsigned short>(bits)).network();
    return ip::network_v6(ip::address_v6(bytes_of(address)), static_cast<unsigned short>(bits)).network() == first;
}

bool is_proxy(const ip::address& address, const std::vector<Network>& proxies) {
    return address.is_loopback() ||
           std::any_of(proxies.begin(), proxies.end(), [&](const Network& network) { return contains(network, address); });
}

}  // namespace

Network parse_network(const std::string& text) {
    const size_t slash = text.find('/');
    boost::system::error_code error;
    Network network{.address = plain(ip::make_address(text.substr(0, slash), error)), .bits = 0};
    if (error) throw base::Error("bad network " + text + ": it is neither ADDRESS nor ADDRESS/BITS");
    const unsigned most = network.address.is_v4() ? 32 : 128;
    network.bits = most;
    if (slash == std::string::npos) return network;
    const std::string bits = text.substr(slash + 1);
    if (bits.empty() || bits.size() > 3 || !std::all_of(bits.begin(), bits.end(), [](char c) { return c >= '0' && c <= '9'; }) ||
        static_cast<unsigned>(std::stoi(bits)) > most)
        throw base::Error("bad network " + text + ": behind the slash are not 0 to " + std::to_string(most) + " bits");
    network.bits = static_cast<unsigned>(std::stoi(bits));
    return network;
}

ip::address client_of(const ip::address& peer, std::string_view forwarded, const std::vector<Network>& proxies) {
    ip::address client = plain(peer);
    for (int i = 0; i < kMostProxies && !forwarded.empty() && is_proxy(client, proxies); i++) {
        const size_t comma = forwarded.rfind(',');
        const std::string_view last = base::trimmed(comma == std::string_view::npos ? forwarded : forwarded.substr(comma + 1));
        forwarded = comma == std::string_view::npos ? std::string_view() : forwarded.substr(0, comma);
        boost::system::error_code error;
        const ip::address named = plain(ip::make_address(last, error));
        if (error) break;  // the proxy says nothing that we understand
        client = named;
    }
    return client;
}

std::string limited_address(const ip::address& client) {
    if (client.is_loopback()) return {};
    if (client.is_v4()) return client.to_string();
    auto bytes = client.to_v6().to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), uint8_t{0});
    return ip::address_v6(bytes).to_string();
}

}  // namespace registry::server
