#pragma once

#include <compare>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "dbg/outbound/packet.h"

namespace dbg::outbound {

// An end of connections, by name or by address.
struct Named {
    Protocol protocol = Protocol::tcp;
    std::string host;  // lower case
    uint16_t port = 0;
    auto operator<=>(const Named&) const = default;
};
struct Target {
    Protocol protocol = Protocol::tcp;
    uint32_t address = 0;
    uint16_t port = 0;
    auto operator<=>(const Target&) const = default;
};

// What a VM may reach.
struct Access {
    enum class Kind { all, unrestricted, listed };  // unrestricted: what a provider passes then, TCP and UDP alone
    Kind kind = Kind::all;
    std::set<Named> named = {};  // of kind listed
    std::set<Target> targets = {};
};

// What a payload manifest says, which registry::check_manifest has checked; with nothing said, nothing is listed. As the exe-unit does it:
// a URL is UDP if its scheme is udp, else TCP, and has a known port; and one whose scheme "protocols" lacks counts for nothing. Throws
// base::Error that names the URL.
Access manifest_access(const nlohmann::ordered_json& manifest);

// Adds the addresses that the names have now. Throws base::Error for a name that has none. Asks name servers, and so takes seconds.
void resolve(Access& access);

// "https://api.example.org", "tcp://203.0.113.5:22": what manifest_access takes for it.
std::string url_of(const Named& named);

}  // namespace dbg::outbound
