#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "exeunit/codec.h"
#include "exeunit/ya_runtime_api.pb.h"

namespace exeunit {

namespace api = ya_runtime_api;

// The runtime answered a request with an error.
class ResponseError : public base::Error {
public:
    ResponseError(api::Error::Code code, const std::string& message) : base::Error(message), code_(code) {}
    api::Error::Code code() const { return code_; }

private:
    api::Error::Code code_;
};

// The pipe ended, or the runtime broke the protocol.
class PipeError : public base::Error {
public:
    using base::Error::Error;
};

using StatusHandler = std::function<void(const api::ProcessStatus&)>;

// Unsolicited messages of the runtime. Called from the io_context's thread; must not throw.
struct Events {
    StatusHandler stray_status;  // of a process that no `run` of this client started; rule 2 allows only the start output, with pid 0
    std::function<void(const api::RuntimeStatus&)> runtime_status;
    std::function<void(const std::string& reason)> closed;  // once; all pending requests fail with PipeError
};

// The supervisor's end of the pipe: many requests at a time, and the statuses of each process. The program must ignore SIGPIPE.
class Client {
public:
    // `input` is what the runtime reads, `output` what it writes. Starts to read at once.
    Client(const boost::asio::any_io_executor& executor, base::UniqueFd input, base::UniqueFd output, Events events);
    ~Client();  // closes the pipes
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Each throws ResponseError and PipeError; none has a deadline.
    boost::asio::awaitable<std::string> hello(std::string version = "0.1.0");             // the protocol's; returns the runtime's
    boost::asio::awaitable<uint64_t> run(api::RunProcess process, StatusHandler status);  // returns the pid; the last status is not running
    boost::asio::awaitable<void> kill(uint64_t pid, int signal);
    boost::asio::awaitable<api::NetworkEndpoint> network(api::CreateNetwork network);
    boost::asio::awaitable<void> shutdown();

    // Sends a request unchanged but for its id, and waits for its answer.
    boost::asio::awaitable<api::Response> request(api::Request request);

    // Sends bytes that may be no frame at all.
    void send_raw(const std::string& bytes);
    // Closes the runtime's input, after everything sent before.
    void close_input();
    // Whether the runtime's output is read; while it is not, the pipe fills.
    void set_reading(bool reading);

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace exeunit
