// Frames as a VM and the world send them.
#pragma once

#include <cstdint>
#include <string>

#include "dbg/outbound/packet.h"

namespace dbg::outbound {

inline std::string big_endian(uint32_t value, int bytes) {
    std::string text;
    for (int i = bytes - 1; i >= 0; i--)
        text.push_back(static_cast<char>(value >> (8 * i)));
    return text;
}

inline Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline std::string ethernet(uint32_t type, const std::string& payload) {
    return std::string(6, '\x11') + std::string(6, '\x22') + big_endian(type, 2) + payload;
}

inline std::string ipv4(Protocol protocol, uint32_t source, uint32_t destination, const std::string& transport, uint32_t fragment = 0) {
    return ethernet(0x0800, big_endian(0x4500, 2) + big_endian(static_cast<uint32_t>(20 + transport.size()), 2) + big_endian(0, 2) +
                                big_endian(fragment, 2) + big_endian(64, 1) + big_endian(static_cast<uint32_t>(protocol), 1) +
                                big_endian(0, 2) + big_endian(source, 4) + big_endian(destination, 4) + transport);
}

inline std::string tcp(uint32_t destination, uint16_t port, uint8_t flags = 2, uint32_t source = kGuestAddress) {
    const std::string header = big_endian(40000, 2) + big_endian(port, 2) + big_endian(1000, 4) + big_endian(5000, 4) +
                               big_endian(0x5000U | flags, 2) + big_endian(100, 2) + big_endian(0, 4);
    return ipv4(Protocol::tcp, source, destination, header);
}

inline std::string udp(uint32_t source, uint16_t source_port, uint32_t destination, uint16_t port, const std::string& payload) {
    const std::string header =
        big_endian(source_port, 2) + big_endian(port, 2) + big_endian(static_cast<uint32_t>(8 + payload.size()), 2) + big_endian(0, 2);
    return ipv4(Protocol::udp, source, destination, header + payload);
}

inline std::string arp(uint32_t target) {
    return ethernet(0x0806, big_endian(0x00010800, 4) + big_endian(0x06040001, 4) + std::string(6, '\x22') + big_endian(kGuestAddress, 4) +
                                std::string(6, '\0') + big_endian(target, 4));
}

// `name` with each label after its length, as in "\3api\7example\3org".
inline std::string dns(const std::string& name, uint32_t address, uint32_t flags = 0x8180, uint32_t answers = 1) {
    const std::string question = name + std::string(1, '\0') + big_endian(1, 2) + big_endian(1, 2);
    const std::string alias =
        big_endian(0xc00c, 2) + big_endian(5, 2) + big_endian(1, 2) + big_endian(60, 4) + big_endian(2, 2) + "\xc0\x0c";
    const std::string record = big_endian(0xc00c, 2) + big_endian(1, 2) + big_endian(1, 2) + big_endian(60, 4) + big_endian(4, 2);
    return big_endian(7, 2) + big_endian(flags, 2) + big_endian(1, 2) + big_endian(answers + 1, 2) + big_endian(0, 4) + question + alias +
           record + big_endian(address, 4);
}

}  // namespace dbg::outbound
