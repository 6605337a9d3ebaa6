#include "thin/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "http/url.h"

namespace thin {
namespace {

struct Network4 {
    uint32_t address;
    unsigned prefix;
};

// The special-purpose registry of IANA (RFC 6890), and multicast and what is reserved above it.
constexpr std::array<Network4, 16> kNotPublic4{{
    {0x00000000, 8},
    {0x0a000000, 8},
    {0x64400000, 10},
    {0x7f000000, 8},
    {0xa9fe0000, 16},
    {0xac100000, 12},
    {0xc0000000, 24},
    {0xc0000200, 24},
    {0xc0586300, 24},
    {0xc0a80000, 16},
    {0xc6120000, 15},
    {0xc6336400, 24},
    {0xcb007100, 24},
    {0xe0000000, 4},
    {0xf0000000, 4},
    {0xffffffff, 32},
}};

bool is_public4(uint32_t address) {
    return std::none_of(kNotPublic4.begin(), kNotPublic4.end(),
                        [address](const Network4& network) { return (address ^ network.address) >> (32 - network.prefix) == 0; });
}

uint32_t big_endian(const uint8_t* bytes) {
    return static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 | static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
}

bool is_public6(const in6_addr& address) {
    const uint8_t* bytes = address.s6_addr;
    constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    constexpr std::array<uint8_t, 12> kTranslated{0, 0x64, 0xff, 0x9b};
    if (std::memcmp(bytes, kMapped.data(), kMapped.size()) == 0 || std::memcmp(bytes, kTranslated.data(), kTranslated.size()) == 0)
        return is_public4(big_endian(bytes + 12));
    if (bytes[0] == 0x20 && bytes[1] == 0x02) return is_public4(big_endian(bytes + 2));  // 6to4
    const bool documentation = big_endian(bytes) == 0x20010db8;
    const bool special = big_endian(bytes) >> 9 == 0x20010000U >> 9;  // 2001::/23: Teredo and others
    return bytes[0] >> 5 == 1 && !documentation && !special;          // 2000::/3 is all that is given out
}

}  // namespace

bool is_allowed(const Policy& policy, const std::string& url) {
    const http::UrlParts parts = http::parse_url(url);
    if ((parts.scheme != "http" && parts.scheme != "https") || parts.user)
        throw base::Error(base::quote(url) + " is not an http or https URL without a user");
    if (policy.any) return true;
    const std::string host = parts.host.find(':') == std::string::npos ? parts.host : "[" + parts.host + "]";
    const unsigned port = parts.port != 0 ? parts.port : parts.scheme == "https" ? 443 : 80;
    const std::string with_port = host + ":" + std::to_string(port);
    return std::any_of(policy.allow.begin(), policy.allow.end(),
                       [&](const std::string& entry) { return entry == host || entry == with_port; });
}

bool is_public(const sockaddr& address) {
    if (address.sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        return is_public4(ntohl(v4.sin_addr.s_addr));
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        return is_public6(v6.sin6_addr);
    }
    return false;
}

}  // namespace thin
