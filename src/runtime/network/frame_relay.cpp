#include "runtime/network/frame_relay.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/log.h"
#include "runtime/network/frame_filter.h"
#include "runtime/network/peer_owner.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;
namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr size_t kBlock = 128 << 10;

struct Relay {
    Relay(std::string card_name, tcp::socket&& peer_socket, base::UniqueFd machine_end)
        : card(std::move(card_name)), peer(std::move(peer_socket)), machine(peer.get_executor(), Local(), machine_end.release()) {}
    std::string card;
    tcp::socket peer;
    Local::socket machine;
};

// The other direction is useless now too: it may have stopped within a frame.
void close(Relay& relay) {
    boost::system::error_code ignored;
    relay.peer.close(ignored);
    relay.machine.close(ignored);
}

awaitable<void> pump_to_peer(std::shared_ptr<Relay> relay) {
    std::vector<char> block(kBlock);
    for (;;) {
        const auto [read_error, size] = co_await relay->machine.async_read_some(asio::buffer(block), kQuietly);
        if (read_error) break;
        const asio::const_buffer data(block.data(), size);
        const auto [write_error, written] = co_await asio::async_write(relay->peer, data, kQuietly);
        if (write_error) break;
    }
    close(*relay);
}

awaitable<void> pump_to_machine(std::shared_ptr<Relay> relay) {
    std::vector<char> block(kBlock);
    std::vector<char> frames;
    FrameFilter filter;
    boost::system::error_code end;
    while (!end) {
        const auto [read_error, size] = co_await relay->peer.async_read_some(asio::buffer(block), kQuietly);
        end = read_error;
        if (end) break;
        const uint64_t before = filter.dropped();
        frames.clear();
        filter.take(std::span(block).first(size), frames);
        if (before == 0 && filter.dropped() > 0) spdlog::warn("{}: a frame that is too short or too long was dropped", relay->card);
        const asio::const_buffer data(frames.data(), frames.size());
        const auto [write_error, written] = co_await asio::async_write(relay->machine, data, kQuietly);
        if (write_error) break;
    }
    // Ours is closed first where the VM has ended.
    if (end && end != asio::error::operation_aborted) spdlog::warn("{}: the peer is gone: {}", relay->card, end.message());
    if (filter.dropped() > 0) spdlog::warn("{}: {} frames that were too short or too long were dropped", relay->card, filter.dropped());
    close(*relay);
}

// The protocol has no secret that the peer could show, and every user of the host can connect to a port on the loopback.
bool may_be_supervisor(const tcp::socket& peer) {
    const std::optional<uid_t> owner = owner_of_peer(peer);
    return owner == ::geteuid() || owner == 0;
}

awaitable<void> listen(tcp::acceptor acceptor, std::string card, base::UniqueFd machine) {
    bool warned = false;
    for (;;) {
        auto [error, peer] = co_await acceptor.async_accept(kQuietly);
        if (error) {
            spdlog::error("{}: the other end could not connect: {}", card, error.message());
            co_return;
        }
        if (may_be_supervisor(peer)) {
            boost::system::error_code ignored;
            acceptor.close(ignored);
            start_relay(std::move(card), std::move(peer), std::move(machine));
            co_return;
        }
        if (!warned) spdlog::warn("{}: refused a connection that belongs to another user or has ended", card);
        warned = true;
    }
}

}  // namespace

void start_relay(std::string card, tcp::socket peer, base::UniqueFd machine) {
    boost::system::error_code ignored;
    peer.set_option(tcp::no_delay(true), ignored);
    const auto relay = std::make_shared<Relay>(std::move(card), std::move(peer), std::move(machine));
    const auto executor = relay->peer.get_executor();
    asio::co_spawn(executor, pump_to_machine(relay), asio::detached);
    asio::co_spawn(executor, pump_to_peer(relay), asio::detached);
}

void start_relay(std::string card, tcp::acceptor acceptor, base::UniqueFd machine) {
    const auto executor = acceptor.get_executor();
    asio::co_spawn(executor, listen(std::move(acceptor), std::move(card), std::move(machine)), asio::detached);
}

}  // namespace runtime
