#include "dbg/port_forwarder.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "debug/client.h"

namespace dbg {
namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;
namespace {

constexpr size_t kForwardBuffer = 32 << 10;

// A connection and its other end in the guest, shared by the two directions.
struct Forwarded {
    tcp::socket socket;
    std::unique_ptr<debug::Process> guest = {};
};

asio::awaitable<void> forward_in(std::shared_ptr<Forwarded> connection) {
    std::array<char, kForwardBuffer> buffer;
    for (;;) {
        boost::system::error_code ended;
        const size_t size =
            co_await connection->socket.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, ended));
        if (ended && ended != asio::error::eof) {  // reset: nobody waits for the answer
            connection->guest->signal(SIGKILL);
            co_return;
        }
        if (size == 0) break;
        co_await connection->guest->write(std::string_view(buffer.data(), size));
    }
    connection->guest->close_input();
}

// What the guest says, until it has ended.
asio::awaitable<void> forward_out(Forwarded& connection) {
    bool reader_left = false;  // what still comes is dropped, so that the guest's end is reached
    while (const auto output = co_await connection.guest->next()) {
        if (reader_left || output->stream() != debug::STDOUT) continue;
        boost::system::error_code gone;
        co_await asio::async_write(connection.socket, asio::buffer(output->data()), asio::redirect_error(asio::use_awaitable, gone));
        reader_left = static_cast<bool>(gone);
        if (reader_left) connection.guest->signal(SIGKILL);
    }
}

asio::awaitable<void> forward(tcp::socket socket, std::filesystem::path path, uint16_t port) {
    const auto executor = socket.get_executor();
    auto connection = std::make_shared<Forwarded>(Forwarded{.socket = std::move(socket)});
    debug::Run run;
    run.set_builtin(debug::CONNECT);
    run.add_args(std::to_string(port));
    run.set_input(true);
    connection->guest = co_await debug::Process::start(executor, path, std::move(run));
    asio::co_spawn(executor, forward_in(connection), [connection](const std::exception_ptr&) {});
    co_await forward_out(*connection);
    // Ends the reading direction, too, which waits for the peer.
    boost::system::error_code ignored;
    connection->socket.shutdown(tcp::socket::shutdown_both, ignored);
    connection->socket.cancel(ignored);
}

tcp::acceptor listen(asio::io_context& io, const PublishedPort& port) {
    const tcp::endpoint endpoint(asio::ip::make_address(port.address), port.host);
    try {
        return tcp::acceptor(io, endpoint);  // with SO_REUSEADDR
    } catch (const boost::system::system_error& e) {
        throw base::Error("cannot publish port " + std::to_string(port.guest) + ": " + port.address + " port " + std::to_string(port.host) +
                          ": " + e.code().message());
    }
}

}  // namespace

PortForwarder::PortForwarder(asio::io_context& io, const std::vector<PublishedPort>& ports)
    : io_(io), count_(new Count{.ended = base::Event(io.get_executor())}) {
    for (const PublishedPort& port : ports)
        listeners_.push_back({listen(io, port), port.guest});
}

void PortForwarder::serve(const std::filesystem::path& socket) {
    socket_ = socket;
    for (Listener& listener : listeners_)
        asio::co_spawn(io_, accept(listener), [](const std::exception_ptr&) {});
}

asio::awaitable<void> PortForwarder::accept(Listener& listener) {
    for (;;) {
        while (count_->connections >= kMaxForwarded)
            co_await count_->ended.wait();
        boost::system::error_code failed;
        tcp::socket socket = co_await listener.acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failed));
        if (failed) {  // the peer has gone, or we have too many files open
            asio::steady_timer pause(io_, 100ms);
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        ++count_->connections;
        asio::co_spawn(io_, forward(std::move(socket), socket_, listener.guest), [count = count_](const std::exception_ptr&) {
            --count->connections;
            count->ended.notify();
        });
    }
}

std::string PortForwarder::description() const {
    std::string text;
    for (const Listener& listener : listeners_) {
        const tcp::endpoint at = listener.acceptor.local_endpoint();
        const std::string address = at.address().to_string();
        text.append(at.address().is_v6() ? "[" : "").append(address).append(at.address().is_v6() ? "]:" : ":");
        text.append(std::to_string(at.port())).append(" -> ").append(std::to_string(listener.guest)).append("\n");
    }
    return text;
}

}  // namespace dbg
