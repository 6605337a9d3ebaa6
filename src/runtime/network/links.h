#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.pb.h"
#include "exeunit/ya_runtime_api.pb.h"
#include "vm/machine.h"

namespace runtime {

// The supervisor's end of a card's link, as --vpn-endpoint and --inet-endpoint name it.
struct Endpoint {
    enum class Kind { udp, tcp_connect, tcp_listen } kind = Kind::udp;
    std::string host;   // an IP address; of tcp-listen none
    uint16_t port = 0;  // of tcp-listen 0
};

// Parses udp://IP:PORT, tcp-connect://IP:PORT or tcp-listen://. Throws base::Error that names the text.
Endpoint parse_endpoint(const std::string& url);

// A card from the command line, and our end of its link.
struct Link {
    ya_runtime_api::NetworkInterface interface = ya_runtime_api::VPN;
    size_t card = 0;   // of vm::Machine::cards
    std::string name;  // in the guest
    uint32_t mtu = 0;
    ya_runtime_api::NetworkEndpoint endpoint;  // the answer to a Network request
    vm::Card::Kind kind = vm::Card::Kind::udp;
    base::UniqueFd socket;    // for the VM
    bool configured = false;  // by a request
};

// Opens the links of both endpoints, URLs as parse_endpoint takes them; empty: none. Waits for a peer of tcp-listen in the background.
// Throws base::Error.
std::vector<Link> open_links(const boost::asio::any_io_executor& executor, const std::string& vpn_endpoint,
                             const std::string& inet_endpoint);

// Logs how many datagrams the kernel dropped on each UDP link: too short, or no room. The relays of streams log what they drop.
void log_dropped_frames(const std::vector<Link>& links);

vm::Card make_card(const Link& link);         // with a copy of the socket
agent::Card describe_card(const Link& link);  // for the guest

// What the guest must do for a request. Throws exeunit::RequestError (BAD_REQUEST).
agent::Network network_request(const ya_runtime_api::CreateNetwork& request, const Link& link);

}  // namespace runtime
