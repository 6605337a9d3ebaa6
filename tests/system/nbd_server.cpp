// An image, thin or not, as an NBD server on a Unix socket, for programs that judge it: nbd_server IMAGE SOCKET
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <list>
#include <mutex>

#include "base/error.h"
#include "thin/nbd_server.h"
#include "thin/opened.h"

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    try {
        const thin::Opened opened(argv[1]);
        std::mutex mutex;  // a reader is for one thread
        const thin::NbdServer::TryRead read = [&](uint64_t position, std::span<std::byte> buffer) {
            const std::lock_guard lock(mutex);
            return opened.read(buffer, position) == buffer.size();
        };
        const base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
        if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 || ::listen(listener.get(), 16) < 0)
            base::throw_errno("cannot listen at ", argv[2]);
        (void)std::puts("listening");
        (void)std::fflush(stdout);
        std::list<thin::NbdServer> connections;
        for (;;) {
            base::UniqueFd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!connection) base::throw_errno("cannot accept a connection");
            connections.emplace_back(opened.size, read, std::move(connection));
        }
    } catch (const base::Error& e) {
        (void)std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
