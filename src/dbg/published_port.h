#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dbg {

// A port of this machine that leads to one of the VM's loopback.
struct PublishedPort {
    std::string address = "127.0.0.1";
    uint16_t host = 0;  // 0: a free one
    uint16_t guest = 0;
};

// Reads "HOST:GUEST" or "ADDRESS:HOST:GUEST", where ADDRESS is an IPv4 address or an IPv6 address in brackets. Throws base::Error.
PublishedPort parse_published_port(const std::string& text);

}  // namespace dbg
