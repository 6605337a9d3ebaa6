#include "runtime/relay.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <vector>

#include "base/log.h"

namespace runtime {
namespace asio = boost::asio;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;
namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr size_t kBlock = 128 << 10;

struct Relay {
    Relay(tcp::acceptor&& listener, base::UniqueFd machine_end)
        : acceptor(std::move(listener)), peer(acceptor.get_executor()), machine(acceptor.get_executor(), Local(), machine_end.release()) {}
    tcp::acceptor acceptor;
    tcp::socket peer;
    Local::socket machine;
};

template <typename From, typename To>
asio::awaitable<void> pump(std::shared_ptr<Relay> relay, From& from, To& to) {
    std::vector<char> block(kBlock);
    for (;;) {
        const auto [read_error, size] = co_await from.async_read_some(asio::buffer(block), kQuietly);
        if (read_error) break;
        const asio::const_buffer data(block.data(), size);
        const auto [write_error, written] = co_await asio::async_write(to, data, kQuietly);
        if (write_error) break;
    }
    // The other direction has no sense any more: a frame may have been cut.
    boost::system::error_code ignored;
    relay->peer.close(ignored);
    relay->machine.close(ignored);
}

asio::awaitable<void> serve(std::shared_ptr<Relay> relay) {
    const auto [error] = co_await relay->acceptor.async_accept(relay->peer, kQuietly);
    boost::system::error_code ignored;
    relay->acceptor.close(ignored);
    if (error) {
        spdlog::error("a network card's peer could not connect: {}", error.message());
        co_return;
    }
    relay->peer.set_option(tcp::no_delay(true), ignored);
    const auto executor = relay->peer.get_executor();
    asio::co_spawn(executor, pump(relay, relay->peer, relay->machine), asio::detached);
    asio::co_spawn(executor, pump(relay, relay->machine, relay->peer), asio::detached);
}

}  // namespace

void start_relay(tcp::acceptor acceptor, base::UniqueFd machine) {
    const auto executor = acceptor.get_executor();
    asio::co_spawn(executor, serve(std::make_shared<Relay>(std::move(acceptor), std::move(machine))), asio::detached);
}

}  // namespace runtime
