#include "runtime/network/links.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/write.hpp>

#include "base/error.h"
#include "exeunit/request_error.h"
#include "runtime/network/addresses.h"

namespace {

namespace api = ya_runtime_api;
namespace asio = boost::asio;
using runtime::Endpoint;
using runtime::Link;
using runtime::parse_address;
using runtime::parse_endpoint;

TEST(ParseEndpoint, AllForms) {
    const Endpoint udp = parse_endpoint("udp://127.0.0.1:4000");
    EXPECT_EQ(udp.kind, Endpoint::Kind::udp);
    EXPECT_EQ(udp.host, "127.0.0.1");
    EXPECT_EQ(udp.port, 4000);
    EXPECT_EQ(parse_endpoint("udp://127.0.0.1:4000/").port, 4000);
    const Endpoint tcp = parse_endpoint("tcp-connect://[::1]:65535");
    EXPECT_EQ(tcp.kind, Endpoint::Kind::tcp_connect);
    EXPECT_EQ(tcp.host, "::1");
    EXPECT_EQ(tcp.port, 65535);
    EXPECT_EQ(parse_endpoint("tcp-listen://").kind, Endpoint::Kind::tcp_listen);
}

TEST(ParseEndpoint, RefusesTheRest) {
    for (const char* bad : {"", "udp://", "udp://127.0.0.1", "udp://127.0.0.1:", "udp://127.0.0.1:0", "udp://127.0.0.1:65536",
                            "udp://localhost:1", "tcp://127.0.0.1:1", "tcp-listen://127.0.0.1:1", "udp://127.0.0.1:1x"})
        EXPECT_THROW(parse_endpoint(bad), base::Error) << bad;
}

Link link(api::NetworkInterface interface) {
    Link result;
    result.interface = interface;
    result.name = interface == api::VPN ? "eth0" : "eth1";
    return result;
}

api::CreateNetwork request_for(const char* addr, const char* mask, const char* if_addr, const char* gateway = "") {
    api::CreateNetwork request;
    api::Network& network = *request.add_networks();
    network.set_addr(addr);
    network.set_mask(mask);
    network.set_if_addr(if_addr);
    network.set_gateway(gateway);
    return request;
}

TEST(NetworkRequest, VpnWithoutGateway) {
    const agent::Network result = network_request(request_for("192.168.0.0", "255.255.255.0", "192.168.0.3"), link(api::VPN));
    EXPECT_EQ(result.card(), "eth0");
    EXPECT_EQ(result.mac(), runtime::mac_for(parse_address("192.168.0.3")));
    ASSERT_EQ(result.addresses_size(), 1);
    EXPECT_EQ(result.addresses(0).address(), parse_address("192.168.0.3"));
    EXPECT_EQ(result.addresses(0).prefix(), 24U);
    EXPECT_EQ(result.routes_size(), 0);  // the address brings it
}

TEST(NetworkRequest, VpnRouteWithHostBitsAndGateway) {
    const agent::Network through = network_request(request_for("192.168.0.7", "16", "192.168.3.3", "192.168.3.1"), link(api::VPN));
    ASSERT_EQ(through.routes_size(), 1);
    EXPECT_EQ(through.routes(0).destination(), parse_address("192.168.0.0"));
    EXPECT_EQ(through.routes(0).prefix(), 16U);
    EXPECT_EQ(through.routes(0).gateway(), parse_address("192.168.3.1"));
    EXPECT_EQ(through.routes(0).metric(), 101U);
    const agent::Network other = network_request(request_for("10.1.2.3", "16", "192.168.3.3"), link(api::VPN));
    ASSERT_EQ(other.routes_size(), 1);
    EXPECT_EQ(other.routes(0).destination(), parse_address("10.1.0.0"));
    EXPECT_TRUE(other.routes(0).gateway().empty());
    EXPECT_EQ(other.routes(0).metric(), 0U);
}

TEST(NetworkRequest, InetHasTheDefaultRouteAlone) {
    const agent::Network result = network_request(request_for("10.42.42.1", "24", "10.42.42.2", "10.42.42.1"), link(api::INET));
    EXPECT_EQ(result.card(), "eth1");
    ASSERT_EQ(result.routes_size(), 1);
    EXPECT_EQ(result.routes(0).destination(), parse_address("0.0.0.0"));
    EXPECT_EQ(result.routes(0).prefix(), 0U);
    EXPECT_EQ(result.routes(0).gateway(), parse_address("10.42.42.1"));
}

TEST(NetworkRequest, Ipv6) {
    const agent::Network result = network_request(request_for("fd00::", "64", "fd00::3"), link(api::VPN));
    EXPECT_EQ(result.mac(), std::string("\x90\x13\0\0\0\3", 6));
    EXPECT_EQ(result.addresses(0).prefix(), 64U);
}

TEST(NetworkRequest, LaterNetworksLeaveTheMac) {
    Link configured = link(api::VPN);
    configured.configured = true;
    EXPECT_TRUE(network_request(request_for("10.0.0.0", "8", "10.0.0.2"), configured).mac().empty());
}

TEST(NetworkRequest, Hosts) {
    api::CreateNetwork request;
    (*request.mutable_hosts())["node-1"] = "192.168.0.1";
    EXPECT_EQ(network_request(request, link(api::VPN)).hosts().at("node-1"), "192.168.0.1");
    EXPECT_TRUE(network_request(request, link(api::VPN)).mac().empty());
    (*request.mutable_hosts())["bad name"] = "192.168.0.1";
    EXPECT_THROW(network_request(request, link(api::VPN)), exeunit::RequestError);
    request.clear_hosts();
    (*request.mutable_hosts())["name"] = "192.168.0.1 evil";
    EXPECT_THROW(network_request(request, link(api::VPN)), exeunit::RequestError);
}

TEST(NetworkRequest, RefusesBadOnes) {
    EXPECT_THROW(network_request(request_for("10.0.0.0", "8", ""), link(api::VPN)), exeunit::RequestError);
    EXPECT_THROW(network_request(request_for("10.0.0.0", "", "10.0.0.2"), link(api::VPN)), exeunit::RequestError);
    EXPECT_THROW(network_request(request_for("fd00::", "8", "10.0.0.2"), link(api::VPN)), exeunit::RequestError);
    EXPECT_THROW(network_request(request_for("10.0.0.0", "8", "10.0.0.2", "fd00::1"), link(api::VPN)), exeunit::RequestError);
    EXPECT_THROW(network_request(request_for("10.0.0.0", "8", "10.0.0.2", "golem"), link(api::INET)), exeunit::RequestError);
}

TEST(Links, UdpGoesBetweenTheTwoEndsAlone) {
    asio::io_context context;
    asio::ip::udp::socket supervisor(context, {asio::ip::address_v4::loopback(), 0});
    const std::string inet = "udp://127.0.0.1:" + std::to_string(supervisor.local_endpoint().port());
    const std::vector<Link> links = runtime::open_links(context.get_executor(), {}, inet);
    ASSERT_EQ(links.size(), 1U);
    EXPECT_EQ(links[0].name, "eth1");
    EXPECT_EQ(links[0].mtu, 65280U);
    EXPECT_THAT(links[0].endpoint.udp_datagram(), testing::StartsWith("127.0.0.1:"));
    const vm::Card card = make_card(links[0]);
    EXPECT_EQ(links[0].card, 1U);
    EXPECT_EQ(describe_card(links[0]).mac(), std::string("\x90\x13\0\0\0\2", 6));

    const auto port = static_cast<uint16_t>(std::stoi(links[0].endpoint.udp_datagram().substr(10)));
    // QEMU would take an empty one for the end of the link.
    for (const std::string& frame : {std::string(), std::string(13, 'x'), std::string(14, 'f')})
        supervisor.send_to(asio::buffer(frame), {asio::ip::address_v4::loopback(), port});
    char buffer[16];
    ASSERT_EQ(::recv(card.socket.get(), buffer, sizeof buffer, 0), 14);
    ASSERT_EQ(::send(card.socket.get(), "back", 4, 0), 4);
    asio::ip::udp::endpoint from;
    ASSERT_EQ(supervisor.receive_from(asio::buffer(buffer), from), 4U);
    EXPECT_EQ(from.port(), port);
}

TEST(Links, ConnectsAndSaysWhyNot) {
    asio::io_context context;
    asio::ip::tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    const std::string vpn = "tcp-connect://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
    const std::vector<Link> links = runtime::open_links(context.get_executor(), vpn, {});
    EXPECT_EQ(links.at(0).kind, vm::Card::Kind::tcp);
    acceptor.close();
    try {
        runtime::open_links(context.get_executor(), vpn, {});
        FAIL();
    } catch (const base::Error& e) {
        EXPECT_THAT(e.what(), testing::HasSubstr("cannot connect the card eth0 to " + vpn + ": Connection refused"));
    }
}

TEST(Links, ListensAndPassesBothWays) {
    asio::io_context context;
    const std::string vpn = "tcp-listen://";
    const std::vector<Link> links = runtime::open_links(context.get_executor(), vpn, {});
    const std::string& endpoint = links.at(0).endpoint.tcp_stream();
    ASSERT_THAT(endpoint, testing::StartsWith("127.0.0.1:"));
    ASSERT_EQ(::send(links[0].socket.get(), "early", 5, 0), 5);

    asio::ip::tcp::socket peer(context);
    peer.connect({asio::ip::address_v4::loopback(), static_cast<uint16_t>(std::stoi(endpoint.substr(10)))});
    const std::string frame = std::string("\0\0\0\x0f", 4) + std::string(15, 'f');
    asio::write(peer, asio::buffer(std::string("\0\0\0\2no", 6) + frame));
    std::string at_peer;
    std::string at_machine;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while ((at_peer.size() < 5 || at_machine.size() < frame.size()) && std::chrono::steady_clock::now() < deadline) {
        context.run_one_for(std::chrono::milliseconds(10));
        context.restart();
        char buffer[32];
        if (const ssize_t n = ::recv(peer.native_handle(), buffer, sizeof buffer, MSG_DONTWAIT); n > 0) at_peer.append(buffer, n);
        if (const ssize_t n = ::recv(links[0].socket.get(), buffer, sizeof buffer, MSG_DONTWAIT); n > 0) at_machine.append(buffer, n);
    }
    EXPECT_EQ(at_peer, "early");
    EXPECT_EQ(at_machine, frame);

    peer.close();
    char buffer[16];
    ssize_t n = -1;
    while (n < 0 && std::chrono::steady_clock::now() < deadline) {
        context.run_one_for(std::chrono::milliseconds(10));
        context.restart();
        n = ::recv(links[0].socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    }
    EXPECT_EQ(n, 0);  // the machine sees that its peer has gone
}

}  // namespace
