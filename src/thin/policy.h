#pragma once

#include <string>
#include <vector>

struct sockaddr;

namespace thin {

// Which servers blocks may be fetched from: a requestor names them, and the provider's network is behind us.
struct Policy {
    bool any = false;                // everything is allowed: a person's own doing
    bool listed_only = false;        // only hosts in `allow`
    std::vector<std::string> allow;  // "HOST" or "HOST:PORT", lower case: may be at addresses that are not public
};

// Whether a policy's entry covers a URL; without a port it covers all ports. Throws base::Error where the text is no http or https URL.
bool is_allowed(const Policy& policy, const std::string& url);

// Whether packets to an address leave for the public internet: not loopback, private, link-local, shared, multicast, reserved, nor an IPv6
// address that embeds such an IPv4 address.
bool is_public(const sockaddr& address);

}  // namespace thin
