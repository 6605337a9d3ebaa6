#include "dbg/outbound/packet.h"

#include <algorithm>
#include <cstddef>

namespace dbg::outbound {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kIpv4 = 20;
constexpr size_t kTcp = 20;
constexpr size_t kUdp = 8;
constexpr size_t kIcmp = 8;
constexpr size_t kArp = 28;
constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeArp = 0x0806;
constexpr uint8_t kVersionAndLength = 0x45;  // IPv4, five words: no options
constexpr uint16_t kFragment = 0x3fff;       // more fragments, or an offset
constexpr size_t kTcpFlags = 13;             // their place in the header
enum : uint8_t { kFin = 1, kSyn = 2, kRst = 4, kAck = 16 };

uint16_t get16(Bytes bytes, size_t at) {
    return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

uint32_t get32(Bytes bytes, size_t at) {
    return static_cast<uint32_t>(get16(bytes, at)) << 16 | get16(bytes, at + 2);
}

void put16(std::string& out, uint32_t value) {
    out.push_back(static_cast<char>(value >> 8));
    out.push_back(static_cast<char>(value));
}

void put32(std::string& out, uint32_t value) {
    put16(out, value >> 16);
    put16(out, value);
}

// Of an even number of bytes (RFC 1071).
uint16_t checksum(std::string_view bytes) {
    const Bytes words(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < words.size(); i += 2)
        sum += get16(words, i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

void set16(std::string& out, size_t at, uint16_t value) {
    out[at] = static_cast<char>(value >> 8);
    out[at + 1] = static_cast<char>(value);
}

std::optional<Packet> parse_arp(Bytes arp) {
    constexpr uint32_t kEthernetAndIpv4 = 0x00010800;
    constexpr uint32_t kSizesAndRequest = 0x06040001;
    if (arp.size() < kArp || get32(arp, 0) != kEthernetAndIpv4 || get32(arp, 4) != kSizesAndRequest) return {};
    Packet packet;
    packet.is_arp = true;
    packet.source = get32(arp, 14);
    packet.destination = get32(arp, 24);
    return packet;
}

bool parse_transport(Packet& packet) {
    const Bytes bytes = packet.transport;
    if (packet.protocol == Protocol::icmp) return bytes.size() >= kIcmp;
    if (bytes.size() < kUdp) return false;
    packet.source_port = get16(bytes, 0);
    packet.destination_port = get16(bytes, 2);
    if (packet.protocol == Protocol::tcp) {
        const size_t header = bytes.size() < kTcp ? 0 : static_cast<size_t>(bytes[12] >> 4) * 4;
        return header >= kTcp && header <= bytes.size();
    }
    packet.payload = bytes.subspan(kUdp);
    return get16(bytes, 4) == bytes.size();
}

}  // namespace

const char* name_of(Protocol protocol) {
    return protocol == Protocol::tcp ? "tcp" : protocol == Protocol::udp ? "udp" : "icmp";
}

std::string address_text(uint32_t address) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
        text.append(text.empty() ? "" : ".").append(std::to_string(address >> shift & 0xff));
    return text;
}

std::optional<Packet> parse_packet(Bytes frame) {
    if (frame.size() < kEthernet) return {};
    const uint16_t type = get16(frame, 12);
    const Bytes rest = frame.subspan(kEthernet);
    if (type == kTypeArp) return parse_arp(rest);
    if (type != kTypeIpv4 || rest.size() < kIpv4 || rest[0] != kVersionAndLength) return {};
    const size_t length = get16(rest, 2);  // short frames are padded behind it
    const auto protocol = static_cast<Protocol>(rest[9]);
    const bool known = protocol == Protocol::tcp || protocol == Protocol::udp || protocol == Protocol::icmp;
    if (length < kIpv4 || length > rest.size() || (get16(rest, 6) & kFragment) != 0 || !known) return {};
    Packet packet;
    packet.source = get32(rest, 12);
    packet.destination = get32(rest, 16);
    packet.protocol = protocol;
    packet.transport = rest.subspan(kIpv4, length - kIpv4);
    if (!parse_transport(packet)) return {};
    return packet;
}

std::optional<std::string> refusal(Bytes frame, const Packet& packet) {
    if (packet.is_arp || packet.protocol != Protocol::tcp) return {};
    const Bytes segment = packet.transport;
    const uint8_t flags = segment[kTcpFlags];
    if (flags & kRst) return {};
    std::string out;
    for (const Bytes part : {frame.subspan(6, 6), frame.first(6), frame.subspan(12, 2)})
        out.append(part.begin(), part.end());
    put32(out, kVersionAndLength << 24 | (kIpv4 + kTcp));
    put32(out, 0x4000);      // not to be fragmented
    put32(out, 0x40060000);  // 64 hops, TCP
    put32(out, packet.destination);
    put32(out, packet.source);
    set16(out, kEthernet + 10, checksum(std::string_view(out).substr(kEthernet)));

    // RFC 9293, 3.5.2: it has the number that the segment expects, or acknowledges all of it.
    const size_t data = segment.size() - static_cast<size_t>(segment[12] >> 4) * 4;
    const auto extent = static_cast<uint32_t>(data + ((flags & kSyn) ? 1 : 0) + ((flags & kFin) ? 1 : 0));
    std::string tcp;
    put16(tcp, packet.destination_port);
    put16(tcp, packet.source_port);
    put32(tcp, (flags & kAck) ? get32(segment, 8) : 0);
    put32(tcp, (flags & kAck) ? 0 : get32(segment, 4) + extent);
    put16(tcp, 0x5000 | kRst | ((flags & kAck) ? 0 : kAck));
    put32(tcp, 0);
    put16(tcp, 0);
    std::string summed;
    put32(summed, packet.destination);
    put32(summed, packet.source);
    put16(summed, static_cast<uint32_t>(Protocol::tcp));
    put16(summed, kTcp);
    set16(tcp, 16, checksum(summed + tcp));
    return out + tcp;
}

}  // namespace dbg::outbound
