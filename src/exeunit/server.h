#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "exeunit/codec.h"
#include "exeunit/lanes.h"

namespace exeunit {

// Called from the io_context's thread; must not throw or block.
struct ServerEvents {
    std::function<void(ya_runtime_api::Request)> request;
    // Once; no request follows. Empty at a proper end of file, else the reason: a bad frame, an incomplete one, a broken pipe.
    std::function<void(const std::string& reason)> ended;
    // `bytes` of a process's output have left our memory for the pipe: the guest may send as many again.
    std::function<void(uint64_t pid, Stream stream, size_t bytes)> written;
};

// The runtime's end of the supervisor's pipe. Nothing is ever dropped, and requests are read even while output is blocked. The caller of
// `output` bounds what is queued; `written` tells it what has left. Answers overtake queued output.
class Server {
public:
    // Takes pipes or sockets, not the same descriptor for both, and makes them non-blocking. Starts to read at once.
    Server(const boost::asio::any_io_executor& executor, base::UniqueFd input, base::UniqueFd output, ServerEvents events);
    ~Server();  // closes both; unwritten data is lost
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Queues an answer (or an event that belongs to no lane), ahead of output.
    void send(const ya_runtime_api::Response& response);

    // The output and end of a process; see Lanes.
    void output(uint64_t pid, Stream stream, std::string data);
    void finish(ya_runtime_api::ProcessStatus status);

    // Waits until everything queued is in the pipe, the pipe breaks, or the time is over.
    boost::asio::awaitable<void> drained(std::chrono::steady_clock::duration limit);

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace exeunit
