#include <gtest/gtest.h>

#include "dbg/outbound/packet.h"
#include "frames.h"

namespace dbg::outbound {
namespace {

constexpr uint32_t kServer = 0xcb007105;  // 203.0.113.5

uint32_t number_at(const std::string& text, size_t at, size_t bytes) {
    uint32_t value = 0;
    for (const char c : text.substr(at, bytes))
        value = value << 8 | static_cast<uint8_t>(c);
    return value;
}

TEST(Packet, NamesItsEnds) {
    const std::string frame = tcp(kServer, 443) + std::string(6, '\0');  // padding
    const auto packet = parse_packet(bytes_of(frame));
    ASSERT_TRUE(packet);
    EXPECT_EQ(address_text(packet->source), "10.42.42.2");
    EXPECT_EQ(address_text(packet->destination), "203.0.113.5");
    EXPECT_EQ(packet->destination_port, 443);
    EXPECT_EQ(packet->transport.size(), 20U);
    EXPECT_TRUE(parse_packet(bytes_of(arp(kGatewayAddress)))->is_arp);
}

TEST(Packet, WhatIsCutIsNone) {
    for (const std::string& whole : {tcp(kServer, 443), udp(kGuestAddress, 1, kServer, 53, "payload"), arp(kGatewayAddress)}) {
        for (size_t size = 0; size < whole.size(); size++)
            EXPECT_FALSE(parse_packet(bytes_of(whole.substr(0, size)))) << size;
    }
}

TEST(Packet, FragmentsOptionsAndOthersAreNone) {
    const std::string header(20, '\x50');
    EXPECT_FALSE(parse_packet(bytes_of(ipv4(Protocol::tcp, kGuestAddress, kServer, header, 0x2000))));
    EXPECT_FALSE(parse_packet(bytes_of(ipv4(Protocol::tcp, kGuestAddress, kServer, header, 1))));
    EXPECT_TRUE(parse_packet(bytes_of(ipv4(Protocol::tcp, kGuestAddress, kServer, header, 0x4000))));
    EXPECT_FALSE(parse_packet(bytes_of(ipv4(static_cast<Protocol>(2), kGuestAddress, kServer, header))));
    std::string options = tcp(kServer, 443);
    options[14] = 0x46;
    EXPECT_FALSE(parse_packet(bytes_of(options)));
    std::string ipv6 = tcp(kServer, 443);
    ipv6.replace(12, 2, "\x86\xdd");
    EXPECT_FALSE(parse_packet(bytes_of(ipv6)));
    std::string vlan = tcp(kServer, 443);
    vlan.replace(12, 2, std::string("\x81\x00", 2));
    EXPECT_FALSE(parse_packet(bytes_of(vlan)));
}

TEST(Packet, HeadersBeyondThePacketAreNone) {
    std::string frame = tcp(kServer, 443);
    frame[14 + 20 + 12] = static_cast<char>(0xf0);  // a TCP header of 60 bytes
    EXPECT_FALSE(parse_packet(bytes_of(frame)));
    frame[14 + 20 + 12] = 0x40;
    EXPECT_FALSE(parse_packet(bytes_of(frame)));
}

TEST(Packet, ASynIsRefusedWithItsNumber) {
    const std::string frame = tcp(kServer, 443);
    const std::string answer = refusal(bytes_of(frame), *parse_packet(bytes_of(frame))).value();
    const auto packet = parse_packet(bytes_of(answer));
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->source, kServer);
    EXPECT_EQ(packet->destination_port, 40000);
    EXPECT_EQ(answer.substr(0, 12), frame.substr(6, 6) + frame.substr(0, 6));
    EXPECT_EQ(number_at(answer, 34 + 8, 4), 1001U);
    EXPECT_EQ(number_at(answer, 34 + 12, 2), 0x5014U);  // RST, ACK
    // Summed with their checksums headers give all ones.
    uint32_t sum = 0;
    for (size_t at = 14; at < 34; at += 2)
        sum += number_at(answer, at, 2);
    EXPECT_EQ((sum & 0xffff) + (sum >> 16), 0xffffU);
    sum = 6 + 20;
    for (size_t at = 26; at < answer.size(); at += 2)
        sum += number_at(answer, at, 2);
    EXPECT_EQ((sum & 0xffff) + (sum >> 16), 0xffffU);
}

TEST(Packet, ARefusalIsNotRefused) {
    const std::string frame = tcp(kServer, 443, 4);
    EXPECT_FALSE(refusal(bytes_of(frame), *parse_packet(bytes_of(frame))));
}

}  // namespace
}  // namespace dbg::outbound
