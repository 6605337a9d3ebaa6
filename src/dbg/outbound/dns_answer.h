#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dbg/outbound/packet.h"

namespace dbg::outbound {

// What a name server said.
struct DnsAnswer {
    std::string name;  // that was asked for: lower-case letters, digits and "-_." alone
    std::vector<uint32_t> addresses;
};

constexpr size_t kMaxDnsRecords = 256;

// Reads the payload of a UDP packet from a name server, a stranger. Whatever is no answer to one question, or is malformed up to the last
// record that counts (kMaxDnsRecords), gives no addresses.
DnsAnswer parse_dns_answer(Bytes message);

}  // namespace dbg::outbound
