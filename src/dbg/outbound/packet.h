// Ethernet frames of a VM, which is a stranger: what a filter must know of each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace dbg::outbound {

using Bytes = std::span<const uint8_t>;

// The addresses that a provider's guest gets (docs/spec/exe-unit.md, Networking), as numbers.
constexpr uint32_t kGuestAddress = 0x0a2a2a02;    // 10.42.42.2
constexpr uint32_t kGatewayAddress = 0x0a2a2a01;  // 10.42.42.1

enum class Protocol : uint8_t { icmp = 1, tcp = 6, udp = 17 };
const char* name_of(Protocol protocol);
std::string address_text(uint32_t address);

// An IPv4 packet without options that is no fragment, or an ARP request.
struct Packet {
    bool is_arp = false;
    uint32_t source = 0;
    uint32_t destination = 0;  // for ARP: whom it asks for
    Protocol protocol = Protocol::icmp;
    uint16_t source_port = 0;  // of TCP and UDP
    uint16_t destination_port = 0;
    Bytes transport;  // from the header of TCP, UDP or ICMP to the packet's end; within the frame
    Bytes payload;    // what follows that header of UDP; else empty
};

// Nothing where the frame is anything else, or its lengths contradict each other.
std::optional<Packet> parse_packet(Bytes frame);

// The frame that refuses the TCP segment of `packet`, which is `frame`; nothing where that is no TCP or a refusal itself.
std::optional<std::string> refusal(Bytes frame, const Packet& packet);

}  // namespace dbg::outbound
