#include "runtime/network/links.h"

#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "exeunit/request_error.h"
#include "runtime/network/addresses.h"
#include "runtime/network/frame_filter.h"
#include "runtime/network/frame_relay.h"

namespace runtime {
namespace asio = boost::asio;
namespace api = ya_runtime_api;
namespace {

constexpr uint32_t kVpnMtu = 1220;
constexpr uint32_t kInetMtu = 65280;
constexpr int kSocketBuffer = 1 << 20;  // a burst of frames must not be dropped while the other end is not scheduled
constexpr time_t kConnectLimitS = 2;
constexpr size_t kMaxHostName = 253;
constexpr uint32_t kGatewayMetric = 101;  // docs/spec/exe-unit.md, Networking

std::string text_of(const asio::ip::address& address, uint16_t port) {
    return (address.is_v6() ? "[" + address.to_string() + "]" : address.to_string()) + ":" + std::to_string(port);
}

// A copy of a socket that outlives the asio object; blocking, as programs expect of inherited descriptors.
base::UniqueFd detach(auto& socket) {
    socket.native_non_blocking(false);
    return base::UniqueFd(socket.release());
}

// Makes the kernel drop datagrams that are shorter than a frame: QEMU takes an empty one for the end of the link. The kernel counts these,
// and those that it drops because the socket's buffer is full.
void drop_short_datagrams(int fd) {
    constexpr uint32_t kUdpHeader = 8;  // the filter sees it too
    std::array<sock_filter, 4> program = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kUdpHeader + kMinFrame, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    }};
    const sock_fprog filter{.len = program.size(), .filter = program.data()};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) base::throw_errno("cannot filter a socket");
}

void open_udp(const Endpoint& endpoint, Link& link) {
    asio::io_context context;
    const asio::ip::udp::endpoint peer(asio::ip::make_address(endpoint.host), endpoint.port);
    asio::ip::udp::socket socket(context, peer.protocol());
    socket.set_option(asio::socket_base::send_buffer_size(kSocketBuffer));
    socket.set_option(asio::socket_base::receive_buffer_size(kSocketBuffer));
    drop_short_datagrams(socket.native_handle());
    socket.connect(peer);  // also binds it; from now on it takes only this peer's datagrams
    link.endpoint.set_udp_datagram(text_of(socket.local_endpoint().address(), socket.local_endpoint().port()));
    link.socket = detach(socket);
    link.kind = vm::Card::Kind::udp;
}

void set_send_timeout(int fd, time_t seconds) {
    const timeval time{.tv_sec = seconds, .tv_usec = 0};
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) < 0) base::throw_errno("cannot set a socket's time-out");
}

// The link of a card whose frames we relay.
template <typename PeerOrAcceptor>
void relay(PeerOrAcceptor other_end, Link& link) {
    auto [ours, machines] = base::socket_pair();
    start_relay(link.name, std::move(other_end), std::move(ours));
    link.socket = std::move(machines);
    link.kind = vm::Card::Kind::tcp;
}

void open_tcp(const asio::any_io_executor& executor, const Endpoint& endpoint, Link& link) {
    const asio::ip::tcp::endpoint peer(asio::ip::make_address(endpoint.host), endpoint.port);
    asio::ip::tcp::socket socket(executor, peer.protocol());
    // Not asio's connect, which would wait for minutes where nobody answers; here the send timeout bounds it.
    set_send_timeout(socket.native_handle(), kConnectLimitS);
    if (::connect(socket.native_handle(), peer.data(), static_cast<socklen_t>(peer.size())) < 0)
        throw base::Error(base::errno_text(errno == EINPROGRESS ? ETIMEDOUT : errno));
    set_send_timeout(socket.native_handle(), 0);
    link.endpoint.set_tcp_stream(text_of(socket.local_endpoint().address(), socket.local_endpoint().port()));
    relay(std::move(socket), link);
}

void open_listener(const asio::any_io_executor& executor, Link& link) {
    asio::ip::tcp::acceptor acceptor(executor, {asio::ip::address_v4::loopback(), 0});
    link.endpoint.set_tcp_stream(text_of(acceptor.local_endpoint().address(), acceptor.local_endpoint().port()));
    relay(std::move(acceptor), link);
}

void open_link(const asio::any_io_executor& executor, const std::string& url, Link& link) {
    base::with_context("cannot connect the card " + link.name + " to " + url, [&] {
        const Endpoint endpoint = parse_endpoint(url);
        try {
            if (endpoint.kind == Endpoint::Kind::udp) open_udp(endpoint, link);
            if (endpoint.kind == Endpoint::Kind::tcp_connect) open_tcp(executor, endpoint, link);
            if (endpoint.kind == Endpoint::Kind::tcp_listen) open_listener(executor, link);
        } catch (const boost::system::system_error& e) {
            throw base::Error(e.code().message());
        }
    });
}

void check_host(const std::string& name, const std::string& address) {
    parse_address(address);
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (name.empty() || name.size() > kMaxHostName || name.find_first_not_of(kAllowed) != std::string::npos)
        throw exeunit::RequestError(api::Error::BAD_REQUEST, "'" + name + "' is not a host name");
}

void add_route(agent::Network& result, const Address& destination, uint32_t prefix, const std::string& gateway, uint32_t metric = 0) {
    agent::Route& route = *result.add_routes();
    route.set_destination(network_of(destination, prefix));
    route.set_prefix(prefix);
    route.set_metric(metric);
    if (!gateway.empty()) route.set_gateway(parse_address(gateway));
    if (!gateway.empty() && route.gateway().size() != destination.size())
        throw exeunit::RequestError(api::Error::BAD_REQUEST, "the gateway '" + gateway + "' is not an address of the network's kind");
}

void add_network(agent::Network& result, const api::Network& network, api::NetworkInterface interface) {
    const Address own = parse_address(network.if_addr());
    const uint32_t prefix = parse_mask(network.mask(), own.size());
    agent::Address& address = *result.add_addresses();
    address.set_address(own);
    address.set_prefix(prefix);
    if (interface == api::INET) {
        if (!network.gateway().empty()) add_route(result, Address(own.size(), '\0'), 0, network.gateway());
        return;
    }
    const Address destination = parse_address(network.addr());
    if (destination.size() != own.size())
        throw exeunit::RequestError(api::Error::BAD_REQUEST,
                                    "'" + network.addr() + "' and '" + network.if_addr() + "' are of different kinds");
    // The address brings the route to the card's own network.
    const bool own_network = network_of(destination, prefix) == network_of(own, prefix);
    const bool through_gateway = !network.gateway().empty() && parse_address(network.gateway()) != own;
    // Beside the card's own route, which it must not replace. IPv6 prefers the card's own without our help.
    const uint32_t metric = own.size() == kIpv4Bytes ? kGatewayMetric : 0;
    if (through_gateway) {
        add_route(result, destination, prefix, network.gateway(), metric);
    } else if (!own_network) {
        add_route(result, destination, prefix, "");
    }
}

}  // namespace

Endpoint parse_endpoint(const std::string& url) {
    constexpr std::array<std::pair<std::string_view, Endpoint::Kind>, 3> kSchemes = {
        {{"udp://", Endpoint::Kind::udp}, {"tcp-connect://", Endpoint::Kind::tcp_connect}, {"tcp-listen://", Endpoint::Kind::tcp_listen}}};
    for (const auto& [scheme, kind] : kSchemes) {
        if (!url.starts_with(scheme)) continue;
        std::string_view rest = std::string_view(url).substr(scheme.size());
        if (rest.ends_with('/')) rest.remove_suffix(1);
        Endpoint endpoint{.kind = kind, .host = {}, .port = 0};
        if (kind == Endpoint::Kind::tcp_listen) {
            if (rest.empty()) return endpoint;
            break;  // we may choose another port
        }
        const size_t colon = rest.rfind(':');
        if (colon == std::string_view::npos) break;
        std::string_view host = rest.substr(0, colon);
        if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
        boost::system::error_code bad_address;
        (void)asio::ip::make_address(host, bad_address);
        const auto [stop, error] = std::from_chars(rest.data() + colon + 1, rest.data() + rest.size(), endpoint.port);
        if (bad_address || error != std::errc() || stop != rest.data() + rest.size() || endpoint.port == 0) break;
        endpoint.host = host;
        return endpoint;
    }
    throw base::Error("'" + url + "' is not an endpoint (udp://IP:PORT, tcp-connect://IP:PORT or tcp-listen://)");
}

std::vector<Link> open_links(const asio::any_io_executor& executor, const std::string& vpn_endpoint, const std::string& inet_endpoint) {
    std::vector<Link> links;
    if (!vpn_endpoint.empty()) {
        Link& link = links.emplace_back();
        link.interface = api::VPN;
        link.card = 0;
        link.name = "eth0";
        link.mtu = kVpnMtu;
        open_link(executor, vpn_endpoint, link);
    }
    if (!inet_endpoint.empty()) {
        Link& link = links.emplace_back();
        link.interface = api::INET;
        link.card = 1;
        link.name = "eth1";
        link.mtu = kInetMtu;
        open_link(executor, inet_endpoint, link);
    }
    return links;
}

void log_dropped_frames(const std::vector<Link>& links) {
    for (const Link& link : links) {
        std::array<uint32_t, SK_MEMINFO_VARS> info{};
        socklen_t size = sizeof info;
        if (link.kind != vm::Card::Kind::udp || ::getsockopt(link.socket.get(), SOL_SOCKET, SO_MEMINFO, info.data(), &size) < 0) continue;
        if (info[SK_MEMINFO_DROPS] > 0)
            spdlog::warn("{}: dropped {} datagrams that were no frames or came faster than the VM took them", link.name,
                         info[SK_MEMINFO_DROPS]);
    }
}

vm::Card make_card(const Link& link) {
    return {.kind = link.kind, .socket = base::copy_of(link.socket)};
}

agent::Card describe_card(const Link& link) {
    agent::Card card;
    card.set_mac(vm::card_mac(link.card));
    card.set_name(link.name);
    card.set_mtu(link.mtu);
    return card;
}

agent::Network network_request(const api::CreateNetwork& request, const Link& link) {
    agent::Network result;
    result.set_card(link.name);
    for (const api::Network& network : request.networks())
        add_network(result, network, link.interface);
    // Peers know the card by its address in the first network.
    if (!link.configured && result.addresses_size() > 0) result.set_mac(mac_for(result.addresses(0).address()));
    for (const auto& [name, address] : request.hosts()) {
        check_host(name, address);
        (*result.mutable_hosts())[name] = address;
    }
    return result;
}

}  // namespace runtime
