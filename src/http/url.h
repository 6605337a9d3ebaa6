#pragma once

#include <cstdint>
#include <string>

namespace http {

// Whether what is sent to a URL can be read on the way: http, to a host other than this machine (localhost, 127.0.0.0/8, ::1). Throws
// base::Error where it is no URL.
bool is_sent_in_clear(const std::string& url);

struct UrlParts {
    std::string scheme;  // lower case, as the host
    std::string host;    // IPv6 without brackets
    uint16_t port = 0;   // 0: the URL has none
    bool user = false;   // it names a user
};

// Takes any scheme. Throws base::Error where it is no URL with a host.
UrlParts parse_url(const std::string& url);

// The URL that a Location header of the answer from `url` leads to, without a fragment. Throws base::Error.
std::string resolve_url(const std::string& url, const std::string& location);

}  // namespace http
