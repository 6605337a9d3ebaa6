#include "init/connect.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/fd.h"
#include "init/write_all.h"

namespace init {
namespace {

// Returns false where nothing more can be read or written.
bool copy_some(int from, int to) {
    static char buffer[32 << 10];
    const ssize_t size = ::read(from, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) return true;
    return size > 0 && write_all(to, {buffer, static_cast<size_t>(size)});
}

base::UniqueFd connected(const sockaddr* address, socklen_t size) {
    base::UniqueFd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket && ::connect(socket.get(), address, size) < 0) return {};
    return socket;
}

base::UniqueFd connected_to_loopback(uint16_t port) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    base::UniqueFd socket = connected(reinterpret_cast<sockaddr*>(&four), sizeof four);
    if (socket) return socket;
    const int error = errno;
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    six.sin6_addr = in6addr_loopback;
    socket = connected(reinterpret_cast<sockaddr*>(&six), sizeof six);
    if (!socket) errno = error;
    return socket;
}

}  // namespace

// A process for each direction, so that neither waits for the other's reader.
int connect_to(const char* port) {
    (void)::signal(SIGPIPE, SIG_IGN);
    const base::UniqueFd socket = connected_to_loopback(static_cast<uint16_t>(std::strtoul(port, nullptr, 10)));
    if (!socket) {
        tell(STDERR_FILENO, {"cannot connect to port ", port, ": ", ::strerrordesc_np(errno)});
        return 1;
    }
    const pid_t writer = ::fork();
    if (writer == 0) {
        while (copy_some(STDIN_FILENO, socket.get())) {
        }
        (void)::shutdown(socket.get(), SHUT_WR);
        ::_exit(0);
    }
    while (copy_some(socket.get(), STDOUT_FILENO)) {
    }
    if (writer > 0) {
        (void)::kill(writer, SIGKILL);
        (void)::waitpid(writer, nullptr, 0);
    }
    return 0;
}

}  // namespace init
