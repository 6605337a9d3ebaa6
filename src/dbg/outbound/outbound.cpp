#include "dbg/outbound/outbound.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "dbg/outbound/filter.h"
#include "dbg/outbound/frame_splitter.h"
#include "dbg/outbound/passt.h"

namespace dbg::outbound {
namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;
namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr size_t kBlock = 128 << 10;

Bytes bytes_of(const std::string& text, size_t size) {
    return {reinterpret_cast<const uint8_t*>(text.data()), size};
}

tcp::endpoint parse_endpoint(const exeunit::api::NetworkEndpoint& endpoint) {
    const std::string& text = endpoint.tcp_stream();
    const size_t colon = text.rfind(':');
    uint16_t port = 0;
    boost::system::error_code error;
    const auto address = asio::ip::make_address(text.substr(0, colon), error);
    if (colon != std::string::npos) std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    if (error || port == 0 || !address.is_loopback())
        throw base::Error("the runtime gave no port on this machine for its network card: " + base::quote(text));
    return {address, port};
}

// One VM's connection with its passt.
struct Link {
    Link(const asio::any_io_executor& executor, Passt&& started)
        : guest(executor),
          passt(std::move(started)),
          world(executor, Local(), base::copy_of(passt.frames).release()),
          wake(executor),
          space(executor) {
        passt.frames.reset();
    }
    tcp::socket guest;
    Passt passt;
    Local::socket world;
    std::string to_guest;      // whole frames that nobody writes yet
    asio::steady_timer wake;   // for the writer
    asio::steady_timer space;  // for those who wait for it
    bool closed = false;
};

void close(Link& link) {
    boost::system::error_code ignored;
    link.closed = true;
    link.guest.close(ignored);
    link.world.close(ignored);
    link.wake.cancel();
    link.space.cancel();
}

}  // namespace

struct Outbound::State : std::enable_shared_from_this<State> {
    State(asio::any_io_executor its_executor, Access access, std::function<void(const std::string&)> its_say)
        : executor(std::move(its_executor)), say(std::move(its_say)), program(find_passt()), filter(std::move(access), say) {}

    awaitable<void> from_guest(std::shared_ptr<Link> connection);
    awaitable<void> from_world(std::shared_ptr<Link> connection);

    asio::any_io_executor executor;
    std::function<void(const std::string&)> say;
    std::string program;
    Filter filter;
    std::shared_ptr<Link> link;
};

namespace {

awaitable<void> write_to_guest(std::shared_ptr<Link> link) {
    link->wake.expires_at(asio::steady_timer::time_point::max());
    while (!link->closed) {
        if (link->to_guest.empty()) {
            (void)co_await link->wake.async_wait(kQuietly);
            continue;
        }
        const std::string data = std::exchange(link->to_guest, {});
        link->space.cancel();
        const auto [error, size] = co_await asio::async_write(link->guest, asio::buffer(data), kQuietly);
        if (error) break;
    }
    close(*link);
}

}  // namespace

awaitable<void> Outbound::State::from_guest(std::shared_ptr<Link> connection) {
    const auto self = shared_from_this();
    std::string block(kBlock, '\0');
    std::string out;
    FrameSplitter splitter;
    const std::function<void(Bytes)> take = [&](Bytes frame) {
        const Filter::Verdict verdict = filter.from_guest(frame);
        if (verdict.pass) append_frame(out, frame);
        // A VM that does not read its answers gets no more of them.
        if (!verdict.answer || connection->to_guest.size() > kBlock) return;
        append_frame(connection->to_guest, bytes_of(*verdict.answer, verdict.answer->size()));
        connection->wake.cancel();
    };
    for (;;) {
        const auto [read_error, size] = co_await connection->guest.async_read_some(asio::buffer(block), kQuietly);
        if (read_error) break;
        out.clear();
        if (!splitter.add(bytes_of(block, size), take)) {
            say("the network card is cut off: the runtime announced a frame that is too long");
            break;
        }
        const auto [write_error, written] = co_await asio::async_write(connection->world, asio::buffer(out), kQuietly);
        if (write_error) break;
    }
    close(*connection);
}

awaitable<void> Outbound::State::from_world(std::shared_ptr<Link> connection) {
    const auto self = shared_from_this();
    std::string block(kBlock, '\0');
    FrameSplitter splitter;
    const std::function<void(Bytes)> take = [&](Bytes frame) {
        filter.from_world(frame);
        append_frame(connection->to_guest, frame);
    };
    boost::system::error_code end;
    connection->space.expires_at(asio::steady_timer::time_point::max());
    while (!end && !connection->closed) {
        const auto [error, size] = co_await connection->world.async_read_some(asio::buffer(block), kQuietly);
        end = error;
        if (end || !splitter.add(bytes_of(block, size), take)) break;
        connection->wake.cancel();
        while (connection->to_guest.size() > kBlock && !connection->closed)
            (void)co_await connection->space.async_wait(kQuietly);
    }
    // Where the VM has ended, ours was closed first.
    if (end && !connection->closed) {
        const std::string why = last_words(connection->passt);
        say("the network card is cut off: passt has ended" + (why.empty() ? "" : ": " + why));
    }
    close(*connection);
}

Outbound::Outbound(asio::any_io_executor executor, Access access, std::function<void(const std::string& line)> say)
    : state_(std::make_shared<State>(std::move(executor), std::move(access), std::move(say))) {}

Outbound::~Outbound() {
    try {
        if (state_->link) close(*state_->link);
    } catch (const std::exception&) {  // what cannot be cancelled ends with its descriptor
    }
    state_->link.reset();
}

std::vector<std::string> Outbound::runtime_options() {
    return {"--inet-endpoint", "tcp-listen://"};
}

exeunit::api::CreateNetwork Outbound::network() {
    exeunit::api::CreateNetwork request;
    request.set_interface(exeunit::api::INET);
    exeunit::api::Network& network = *request.add_networks();
    network.set_addr(address_text(kGatewayAddress));
    network.set_gateway(address_text(kGatewayAddress));
    network.set_mask("255.255.255.0");
    network.set_if_addr(address_text(kGuestAddress));
    return request;
}

void Outbound::connect(const exeunit::api::NetworkEndpoint& endpoint) {
    const tcp::endpoint peer = parse_endpoint(endpoint);
    if (state_->link) close(*state_->link);
    auto link = std::make_shared<Link>(state_->executor, start_passt(state_->program));
    boost::system::error_code error;
    link->guest.connect(peer, error);
    if (error) throw base::Error("cannot connect to the network card of the VM: " + error.message());
    link->guest.set_option(tcp::no_delay(true), error);
    state_->link = link;
    asio::co_spawn(state_->executor, state_->from_guest(link), asio::detached);
    asio::co_spawn(state_->executor, state_->from_world(link), asio::detached);
    asio::co_spawn(state_->executor, write_to_guest(link), asio::detached);
}

const std::set<std::string>& Outbound::reached() const {
    return state_->filter.reached();
}

}  // namespace dbg::outbound
