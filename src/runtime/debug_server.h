#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>

#include "runtime/debug_connection.h"

namespace runtime {

// Operations on a VM at a time; each further one is refused.
constexpr size_t kMaxDebugConnections = 256;

// Offers a VM's debug channel (docs/spec/debug.md): one connection serves one operation. Whoever may connect may do everything in the VM,
// so the socket has mode 0600 from its first moment, and a peer of another user is turned away.
class DebugServer {
public:
    // Listens at once. A socket that nobody listens at any more is replaced. Throws base::Error that names the socket. What `host` refers
    // to must live as long as the executor runs.
    DebugServer(const boost::asio::any_io_executor& executor, std::filesystem::path socket, DebugHost host);
    ~DebugServer();  // removes the socket
    DebugServer(const DebugServer&) = delete;
    DebugServer& operator=(const DebugServer&) = delete;

private:
    boost::asio::awaitable<void> accept();

    std::filesystem::path path_;
    DebugHost host_;
    boost::asio::local::stream_protocol::acceptor acceptor_;
};

}  // namespace runtime
