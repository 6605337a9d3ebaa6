#pragma once

#include <memory>
#include <span>

#include "http/client.h"

namespace http {

// The body of a GET, read when the caller wants it: of what nobody reads, only some 200 KB are in memory, and the rest waits at the server.
// Its connection is kept for the next request. One thread at a time.
class Stream {
public:
    explicit Stream(const Options& options = {});
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // Ends what went before, sends the request, and waits for the answer's head and the first bytes of its body, `options.answer` at most.
    // The body of a success is read by `read`, any other's is in the response. `request` has neither `sink` nor a body. Throws as
    // Session::send.
    Response open(const Request& request);

    // The body's next bytes; fewer than asked for only at its end. Throws TransientError where the connection breaks, or where nothing
    // comes for `options.stall`; then, or after another exception, only `open` may follow.
    size_t read(std::span<std::byte> buffer);

    // Whether the body was read to its end, so that the connection can be used again.
    bool ended();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace http
