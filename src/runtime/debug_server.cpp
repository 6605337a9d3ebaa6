#include "runtime/debug_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
using Local = asio::local::stream_protocol;
using namespace std::chrono_literals;
namespace {

// Takes a dead runtime's socket away. Any other file makes `bind` fail.
void remove_stale(const asio::any_io_executor& executor, const Local::endpoint& endpoint) {
    Local::socket probe(executor);
    boost::system::error_code error;
    probe.connect(endpoint, error);
    if (!error) throw boost::system::system_error(asio::error::address_in_use);
    struct stat status {};
    if (error == asio::error::connection_refused && ::lstat(endpoint.path().c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
        ::unlink(endpoint.path().c_str());
}

Local::acceptor listen_at(const asio::any_io_executor& executor, const std::filesystem::path& path) {
    try {
        const Local::endpoint endpoint(path.string());
        remove_stale(executor, endpoint);
        Local::acceptor acceptor(executor);
        acceptor.open();
        boost::system::error_code error;
        const mode_t before = ::umask(0177);
        acceptor.bind(endpoint, error);
        ::umask(before);
        if (error) throw boost::system::system_error(error);
        acceptor.listen();
        return acceptor;
    } catch (const boost::system::system_error& e) {
        throw base::Error("cannot listen at the debug socket " + path.string() + ": " + e.code().message());
    }
}

bool is_ours(Local::socket& socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

}  // namespace

DebugServer::DebugServer(const asio::any_io_executor& executor, std::filesystem::path socket, DebugHost host)
    : path_(std::move(socket)), host_(std::move(host)), acceptor_(listen_at(executor, path_)) {
    asio::co_spawn(executor, accept(), asio::detached);
}

DebugServer::~DebugServer() {
    ::unlink(path_.c_str());
}

awaitable<void> DebugServer::accept() {
    const auto connections = std::make_shared<size_t>(0);
    asio::steady_timer pause(acceptor_.get_executor());
    while (true) {
        auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
        if (error == asio::error::operation_aborted) co_return;
        if (error) {  // no descriptors, which the next attempt would find, too
            spdlog::warn("the debug channel cannot take a connection: {}", error.message());
            pause.expires_after(100ms);
            co_await pause.async_wait(asio::use_awaitable);
        } else if (!is_ours(socket)) {
            refuse_debug_connection(std::move(socket), "the debug channel serves the user of the runtime alone");
        } else if (*connections >= kMaxDebugConnections) {
            refuse_debug_connection(std::move(socket), "too many operations on this VM at once");
        } else {
            ++*connections;
            const auto done = [connections](const std::exception_ptr&) { --*connections; };
            asio::co_spawn(acceptor_.get_executor(), serve_debug_connection(std::move(socket), host_), done);
        }
    }
}

}  // namespace runtime
