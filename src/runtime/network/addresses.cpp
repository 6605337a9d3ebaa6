#include "runtime/network/addresses.h"

#include <arpa/inet.h>

#include <bit>
#include <charconv>

#include "exeunit/request_error.h"

namespace runtime {
namespace {

constexpr size_t kIpv6Bytes = 16;

[[noreturn]] void refuse(const std::string& text, const std::string& what) {
    throw exeunit::RequestError(ya_runtime_api::Error::BAD_REQUEST, "'" + text + "' is not " + what);
}

// The number of leading one bits; throws where a one bit follows a zero.
uint32_t prefix_of(const Address& mask, const std::string& text) {
    uint32_t prefix = 0;
    for (const char c : mask)
        prefix += static_cast<uint32_t>(std::popcount(static_cast<unsigned char>(c)));
    if (network_of(Address(mask.size(), '\xff'), prefix) != mask) refuse(text, "a network mask");
    return prefix;
}

}  // namespace

Address parse_address(const std::string& text) {
    char bytes[kIpv6Bytes];
    if (::inet_pton(AF_INET, text.c_str(), bytes) == 1) return {bytes, kIpv4Bytes};
    if (::inet_pton(AF_INET6, text.c_str(), bytes) == 1) return {bytes, kIpv6Bytes};
    refuse(text, "an IP address");
}

uint32_t parse_mask(const std::string& text, size_t size) {
    uint32_t prefix = 0;
    const char* end = text.data() + text.size();
    if (const auto [stop, error] = std::from_chars(text.data(), end, prefix); error == std::errc() && stop == end) {
        if (prefix > 8 * size) refuse(text, "a network mask");
        return prefix;
    }
    if (text.find_first_of(".:") == std::string::npos) refuse(text, "a network mask");
    const Address mask = parse_address(text);
    if (mask.size() != size) refuse(text, "a network mask for this kind of address");
    return prefix_of(mask, text);
}

Address network_of(Address address, uint32_t prefix) {
    for (size_t i = 0; i < address.size(); i++) {
        const uint32_t kept = prefix > 8 * i ? std::min<uint32_t>(prefix - static_cast<uint32_t>(8 * i), 8) : 0;
        address[i] = static_cast<char>(static_cast<unsigned char>(address[i]) & (0xff00U >> kept));
    }
    return address;
}

std::string mac_for(const Address& address) {
    return std::string("\x90\x13", 2) + address.substr(address.size() - kIpv4Bytes);
}

}  // namespace runtime
