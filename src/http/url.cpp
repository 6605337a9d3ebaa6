#include "http/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace http {
namespace {

// libcurl's own parser: what it takes for the host is where it connects to.
std::string part_of(CURLU* url, CURLUPart part) {
    char* text = nullptr;
    if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
    const std::unique_ptr<char, decltype(&curl_free)> owner(text, curl_free);
    return text;
}

std::string without_brackets(const std::string& host) {
    return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

using Parsed = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

Parsed parse(const std::string& url, unsigned flags) {
    Parsed parsed(curl_url(), curl_url_cleanup);
    if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), flags) != CURLUE_OK)
        throw base::Error(base::quote(url) + " is not a URL");
    return parsed;
}

bool is_this_machine(const std::string& bracketed) {
    const std::string host = without_brackets(bracketed);
    in_addr four{};
    in6_addr six{};
    if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
    if (::inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
    return host == "localhost";
}

}  // namespace

bool is_sent_in_clear(const std::string& url) {
    const Parsed parsed = parse(url, 0);
    return part_of(parsed.get(), CURLUPART_SCHEME) != "https" && !is_this_machine(part_of(parsed.get(), CURLUPART_HOST));
}

UrlParts parse_url(const std::string& url) {
    const Parsed parsed = parse(url, CURLU_NON_SUPPORT_SCHEME);
    UrlParts parts{.scheme = lower(part_of(parsed.get(), CURLUPART_SCHEME)), .host = {}, .port = 0};
    parts.host = lower(without_brackets(part_of(parsed.get(), CURLUPART_HOST)));
    parts.port = static_cast<uint16_t>(std::atoi(part_of(parsed.get(), CURLUPART_PORT).c_str()));  // libcurl has checked it
    if (parts.host.empty()) throw base::Error(base::quote(url) + " has no host");
    parts.user = !part_of(parsed.get(), CURLUPART_USER).empty();
    return parts;
}

std::string resolve_url(const std::string& url, const std::string& location) {
    const Parsed parsed = parse(url, 0);
    if (curl_url_set(parsed.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK)
        throw base::Error(url + ": a redirect to " + base::quote(location) + ", which is not a URL");
    curl_url_set(parsed.get(), CURLUPART_FRAGMENT, nullptr, 0);
    return part_of(parsed.get(), CURLUPART_URL);
}

}  // namespace http
