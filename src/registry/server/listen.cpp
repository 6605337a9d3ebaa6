#include "registry/server/listen.h"

#include <netdb.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>

#include <memory>

#include "base/error.h"

namespace registry::server {

base::UniqueFd listen_on(const std::string& address) {
    const size_t colon = address.rfind(':');
    if (colon == std::string::npos) throw base::Error("cannot listen on " + address + ": it is not HOST:PORT");
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), address.c_str() + colon + 1, &hints, &found);
    if (error != 0) throw base::Error("cannot listen on " + address + ": " + ::gai_strerror(error));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    base::UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        ::bind(fd.get(), found->ai_addr, found->ai_addrlen) < 0 || ::listen(fd.get(), SOMAXCONN) < 0)
        base::throw_errno("cannot listen on ", address);
    return fd;
}

std::string name_of(int socket) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) < 0 ||
        ::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        throw base::Error("cannot tell the address that is listened on");
    std::string name = host;
    if (address.ss_family == AF_INET6) name = fmt::format("[{}]", host);
    return name + ":" + port;
}

}  // namespace registry::server
