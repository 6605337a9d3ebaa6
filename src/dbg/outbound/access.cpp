#include "dbg/outbound/access.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "http/url.h"

namespace dbg::outbound {
namespace {

struct Scheme {
    std::string_view name;
    uint16_t port;
};
constexpr std::array<Scheme, 5> kSchemes = {{{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}, {"ftp", 21}}};

Named parse_target(const http::UrlParts& url, const std::string& text) {
    const auto* const known = std::find_if(kSchemes.begin(), kSchemes.end(), [&](const Scheme& s) { return s.name == url.scheme; });
    const uint16_t port = url.port == 0 && known != kSchemes.end() ? known->port : url.port;
    if (port == 0) throw base::Error(base::quote(text) + " has no port");
    return {.protocol = url.scheme == "udp" ? Protocol::udp : Protocol::tcp, .host = url.host, .port = port};
}

}  // namespace

Access manifest_access(const nlohmann::ordered_json& manifest) {
    const auto out = manifest.value(nlohmann::ordered_json::json_pointer("/compManifest/net/inet/out"), nlohmann::ordered_json::object());
    if (out.contains("unrestricted")) return {.kind = Access::Kind::unrestricted};
    Access access{.kind = Access::Kind::listed};
    const auto urls = out.value("urls", std::vector<std::string>());
    const auto protocols = out.value("protocols", std::vector<std::string>());
    for (const std::string& text : urls) {
        const http::UrlParts url = http::parse_url(text);
        const bool counts = !out.contains("protocols") || std::find(protocols.begin(), protocols.end(), url.scheme) != protocols.end();
        if (counts) access.named.insert(parse_target(url, text));
    }
    return access;
}

void resolve(Access& access) {
    for (const Named& named : access.named) {
        addrinfo hints{};
        hints.ai_family = AF_INET;
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        const int error = ::getaddrinfo(named.host.c_str(), nullptr, &hints, &found);
        if (error != 0) throw base::Error("cannot look up " + base::quote(named.host) + ": " + ::gai_strerror(error));
        const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
        for (const addrinfo* entry = found; entry; entry = entry->ai_next) {
            const auto* const address = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
            access.targets.insert({named.protocol, ntohl(address->sin_addr.s_addr), named.port});
        }
    }
}

std::string url_of(const Named& named) {
    if (named.protocol == Protocol::tcp && named.port == 443) return "https://" + named.host;
    if (named.protocol == Protocol::tcp && named.port == 80) return "http://" + named.host;
    return std::string(name_of(named.protocol)) + "://" + named.host + ":" + std::to_string(named.port);
}

}  // namespace dbg::outbound
