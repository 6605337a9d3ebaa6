#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace vm {

// QEMU answered a command with an error, or the connection ended or carried something other than QMP.
class QmpError : public base::Error {
public:
    using base::Error::Error;
};

// A client of QEMU's machine protocol over a connected socket: JSON lines, commands with an id, events. A QEMU that a guest has taken over
// is hostile: a line has at most 64 KiB, and anything that is not QMP ends the connection.
class Qmp {
public:
    using Event = std::function<void(const std::string& name, const nlohmann::json& data)>;

    // `event` is called from the executor's thread; it must not throw.
    Qmp(const boost::asio::any_io_executor& executor, base::UniqueFd socket, Event event);
    ~Qmp();
    Qmp(const Qmp&) = delete;
    Qmp& operator=(const Qmp&) = delete;

    // Waits for the greeting and ends capabilities negotiation; once, before any command. Throws QmpError.
    boost::asio::awaitable<void> connect();

    // Returns the command's result. `fd` (-1: none) is passed along, for getfd. Many commands may be pending. Throws QmpError ("QEMU:
    // getfd: …").
    boost::asio::awaitable<nlohmann::json> execute(std::string command, nlohmann::json arguments = nlohmann::json::object(), int fd = -1);

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace vm
