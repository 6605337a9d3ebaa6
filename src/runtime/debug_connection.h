#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <string>

#include "debug/debug.pb.h"
#include "runtime/session.h"

namespace runtime {

// What the debug channel acts on.
struct DebugHost {
    Session& session;
    std::function<boost::asio::awaitable<void>()> up;                 // waits until the VM is up; throws base::Error where it is not
    std::function<boost::asio::awaitable<debug::Figures>()> measure;  // of a VM that is up; throws base::Error where it dies
    std::function<void()> stop;                                       // asks for the VM's end, which closes all connections
};

// Serves one operation of the debug channel (docs/spec/debug.md), up to the connection's end. A peer that breaks the protocol gets an
// error, and its program is ended.
boost::asio::awaitable<void> serve_debug_connection(boost::asio::local::stream_protocol::socket socket, DebugHost host);

// Closes a connection with an error.
void refuse_debug_connection(boost::asio::local::stream_protocol::socket socket, const std::string& reason);

}  // namespace runtime
