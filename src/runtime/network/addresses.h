#pragma once

#include <cstdint>
#include <string>

namespace runtime {

// An IPv4 or IPv6 address: its 4 or 16 bytes, in network order.
using Address = std::string;
constexpr size_t kIpv4Bytes = 4;

// Each throws exeunit::RequestError (BAD_REQUEST) that names the text.
Address parse_address(const std::string& text);
// A network mask as a length ("24") or in address form ("255.255.255.0"), for an address of `size` bytes.
uint32_t parse_mask(const std::string& text, size_t size);

// The address with its host bits cleared.
Address network_of(Address address, uint32_t prefix);

// "90:13:" and the address's last four bytes (docs/spec/exe-unit.md, Networking), as 6 bytes.
std::string mac_for(const Address& address);

}  // namespace runtime
