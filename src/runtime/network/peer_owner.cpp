#include "runtime/network/peer_owner.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace runtime {
namespace {

using boost::asio::ip::tcp;

// Of a connection that both ends hold open. Once one end has been closed, the kernel lists uid 0 for it.
constexpr const char* kEstablished = "01";

// How /proc/net/tcp writes an IPv4 endpoint: the address as the machine reads its four bytes.
std::string listed(const tcp::endpoint& endpoint) {
    const auto bytes = endpoint.address().to_v4().to_bytes();
    return fmt::format("{:08X}:{:04X}", std::bit_cast<uint32_t>(bytes), endpoint.port());
}

// The same in /proc/net/tcp6, for a program that uses an IPv6 socket for both kinds.
std::string listed_as_v6(const tcp::endpoint& endpoint) {
    const uint32_t marker = std::bit_cast<uint32_t>(std::array<unsigned char, 4>{0, 0, 0xFF, 0xFF});
    return fmt::format("{:016X}{:08X}", 0, marker) + listed(endpoint);
}

std::optional<uid_t> find_owner(const char* table, const std::string& from, const std::string& to) {
    std::ifstream lines(table);
    for (std::string line; std::getline(lines, line);) {
        if (line.find(from) == std::string::npos) continue;
        std::istringstream fields(line);
        std::string number, local, remote, state, queues, timer, retransmits;
        uid_t uid = 0;
        if (!(fields >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid)) continue;
        if (local == from && remote == to && state == kEstablished) return uid;
    }
    return std::nullopt;
}

}  // namespace

std::optional<uid_t> owner_of_peer(const tcp::socket& socket) {
    boost::system::error_code gone;
    const tcp::endpoint peer = socket.remote_endpoint(gone);
    if (gone || !peer.address().is_v4()) return std::nullopt;
    const tcp::endpoint own = socket.local_endpoint(gone);
    if (gone) return std::nullopt;
    if (const auto owner = find_owner("/proc/self/net/tcp", listed(peer), listed(own))) return owner;
    return find_owner("/proc/self/net/tcp6", listed_as_v6(peer), listed_as_v6(own));
}

}  // namespace runtime
