#include <microhttpd.h>
#include <netinet/in.h>
#include <strings.h>

#include <boost/asio/ip/tcp.hpp>
#include <cstring>

#include "registry/server/http.h"

namespace registry::server {

std::optional<std::string> Request::query(const char* name) const {
    const char* value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    if (!value) return std::nullopt;
    return value;
}

std::optional<std::string> Request::cookie(const char* name) const {
    const char* value = MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, name);
    if (!value) return std::nullopt;
    return value;
}

std::string Request::header(const char* name) const {
    const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

namespace {

std::optional<boost::asio::ip::address> client_address(const Request& request) {
    const MHD_ConnectionInfo* info = MHD_get_connection_info(request.connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr) return std::nullopt;
    // A proxy may add a header of its own behind the client's.
    std::string forwarded;
    MHD_get_connection_values(
        request.connection, MHD_HEADER_KIND,
        [](void* cls, MHD_ValueKind, const char* name, const char* value) {
            auto& all = *static_cast<std::string*>(cls);
            if (value && ::strcasecmp(name, "X-Forwarded-For") == 0) all.append(all.empty() ? "" : ",").append(value);
            return MHD_YES;
        },
        &forwarded);
    boost::asio::ip::tcp::endpoint peer;
    const size_t size = info->client_addr->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::memcpy(peer.data(), info->client_addr, size);
    return client_of(peer.address(), forwarded, *request.proxies);
}

}  // namespace

std::string Request::client() const {
    const auto address = client_address(*this);
    return address ? address->to_string() : "";
}

std::string Request::limited_address() const {
    const auto address = client_address(*this);
    return address ? server::limited_address(*address) : "";
}

}  // namespace registry::server
