#include "dbg/published_port.h"

#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace {

uint16_t parse_port(std::string_view text, unsigned lowest) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < lowest || port > 65535)
        throw base::Error(base::quote(text) + " is no port");
    return static_cast<uint16_t>(port);
}

std::string parse_address(std::string_view text) {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(std::string(text), error);
    if (error) throw base::Error(base::quote(text) + " is no IP address");
    return address.to_string();
}

}  // namespace

PublishedPort parse_published_port(const std::string& given) {
    const std::string_view text = given;
    const size_t last = text.rfind(':');
    if (last == std::string_view::npos) throw base::Error(base::quote(text) + " is not HOST:GUEST");
    PublishedPort port;
    port.guest = parse_port(text.substr(last + 1), 1);
    std::string_view host = text.substr(0, last);
    const size_t before = host.rfind(':');
    if (before != std::string_view::npos) {
        port.address = parse_address(host.substr(0, before));
        host = host.substr(before + 1);
    }
    port.host = parse_port(host, 0);
    return port;
}

}  // namespace dbg
