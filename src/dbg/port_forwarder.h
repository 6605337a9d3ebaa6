#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/event.h"
#include "dbg/published_port.h"

namespace dbg {

// Connections at a time, over all ports; later ones wait.
constexpr size_t kMaxForwarded = 128;

// Leads connections to ports of this machine into a VM, by the debug channel: the VM needs no network for it.
class PortForwarder {
public:
    // Listens at once. Throws base::Error that names the port which cannot be had.
    PortForwarder(boost::asio::io_context& io, const std::vector<PublishedPort>& ports);

    // Accepts connections from now on, as long as the io_context runs. A connection that the VM refuses is closed.
    void serve(const std::filesystem::path& socket);

    // "127.0.0.1:49152 -> 80", a line for each port.
    std::string description() const;

private:
    using Tcp = boost::asio::ip::tcp;
    struct Listener {
        Tcp::acceptor acceptor;
        uint16_t guest;
    };
    boost::asio::awaitable<void> accept(Listener& listener);

    boost::asio::io_context& io_;
    std::vector<Listener> listeners_;
    std::filesystem::path socket_;
    // Shared with the connections, which may outlive this object.
    struct Count {
        size_t connections = 0;
        base::Event ended;
    };
    std::shared_ptr<Count> count_;
};

}  // namespace dbg
