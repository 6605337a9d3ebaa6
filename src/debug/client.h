// Folder debug: the debug channel's protocol (debug.proto, docs/spec/debug.md) and its client.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "debug/debug.pb.h"

namespace debug {

// The runtime refused the operation, or the guest did.
class OperationError : public base::Error {
public:
    OperationError(debug::Error::Code code, const std::string& message) : base::Error(message), code_(code) {}
    debug::Error::Code code() const { return code_; }

private:
    debug::Error::Code code_;
};

// A program that runs in the VM, over a connection of its own. All calls from one thread; one coroutine may be in `next` and another in
// `write` at a time. What the peer sends is bounded and checked.
class Process {
public:
    // Connects and waits until the program runs. Throws OperationError (no such program…), base::Error where there is no VM at the socket.
    static boost::asio::awaitable<std::unique_ptr<Process>> start(boost::asio::any_io_executor executor, std::filesystem::path socket,
                                                                  Run run);
    ~Process();  // closes the connection, which ends a program that still runs
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    // The next piece of output, at most 32 KiB; nothing once the program has ended. The program waits while nobody asks. Throws base::Error
    // where the VM has ended.
    boost::asio::awaitable<std::optional<Output>> next();

    // The exit code, or 128 + the signal; once `next` has returned nothing.
    int exit_code() const;

    // Sends bytes to its stdin and waits until all have been sent, which the program's reading limits. Drops them where it has ended. Needs
    // somebody who calls `next` meanwhile. Throws base::Error where the VM has ended.
    boost::asio::awaitable<void> write(std::string_view data);

    // End of file on its stdin; once, after all writes.
    void close_input();
    void resize(uint32_t rows, uint32_t columns);
    // To its whole process group.
    void signal(int number);

private:
    class State;
    explicit Process(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

// What the VM uses. Throws as above.
boost::asio::awaitable<Figures> measure(boost::asio::any_io_executor executor, std::filesystem::path socket);

// Ends the VM and waits for its end.
boost::asio::awaitable<void> stop(boost::asio::any_io_executor executor, std::filesystem::path socket);

}  // namespace debug
