// Folder agent: the wire protocol between host and guest (agent.proto, frame.h; both shared with guest/init), and the host's client of it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/agent.pb.h"
#include "base/error.h"
#include "base/fd.h"

namespace agent {

// The guest answered a request with an error.
class GuestError : public base::Error {
public:
    GuestError(agent::Error::Code code, const std::string& message) : base::Error(message), code_(code) {}
    agent::Error::Code code() const { return code_; }

private:
    agent::Error::Code code_;
};

// The channel ended, or the guest broke the protocol (a frame too long or not decodable, an unknown id, output beyond its credit). The VM
// is useless afterwards.
class ChannelError : public base::Error {
public:
    using base::Error::Error;
};

// Unsolicited messages of the guest. Called from the io_context's thread; must not throw or block. The guest's text is made printable
// (valid UTF-8, no control characters), and its log lines are limited in length and rate.
struct Events {
    std::function<void(const Output&)> output;
    std::function<void(const Exited&)> exited;
    std::function<void(const std::string&)> log;
    std::function<void(bool any)> living = {};  // whether any process besides init lives in the guest: false at first
    std::function<void(uint64_t process, uint32_t bytes)> input_taken = {};
    std::function<void(const std::string& reason)> closed;  // once; all pending requests fail with ChannelError
};

// The host's end of the channel. The guest is hostile: what arrives is bounded and checked, and memory is bounded by the credits granted.
class Client {
public:
    // Takes ownership of the connected socket.
    Client(const boost::asio::any_io_executor& executor, base::UniqueFd channel, Events events);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Waits for the guest's Ready; once, before any request. Throws ChannelError, also at the deadline.
    boost::asio::awaitable<Ready> ready(std::chrono::steady_clock::duration deadline);

    // Instead of `ready`: the guest was saved after its Ready, and has been restored.
    void assume_ready();

    // Sends a request, which the client numbers, and waits for its reply. The texts in a reply come from the guest. Throws GuestError,
    // ChannelError. Many requests may be pending. A process's events arrive only after the coroutine that awaits its Exec has run up to its
    // next suspension.
    boost::asio::awaitable<Reply> request(Request request);

    // Allows a stream `bytes` more. Call it when the stream's reader has consumed that many. Does nothing for a process that has exited.
    void grant(uint64_t process, Stream stream, uint32_t bytes);

    // Sends bytes to a process's stdin, and with `end` its end of file. At most `input_room` bytes: more throw std::length_error, which is
    // the caller's mistake. Does nothing for a process that has exited.
    void input(uint64_t process, std::string_view data, bool end);

    // How many bytes of input the process may be sent now: kInputWindow (frame.h) less what it has not taken. 0 after its exit.
    size_t input_room(uint64_t process) const;

    // Gives a process's terminal a new size, 1 to 65535 each. Of sizes that wait to be sent the last counts. Does nothing for a process
    // that has exited.
    void resize(uint64_t process, const Terminal& terminal);

    // Closes the channel; `closed` is not called any more.
    void close();

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace agent
