#pragma once

#include <string>

#include "agent/frame.h"
#include "base/fd.h"
#include "init/status.h"

namespace init {

// The guest's end of the agent channel: the virtio-serial port named "agent". Never blocks.
class Port {
public:
    // Opens the port; fatal when there is none.
    Port();

    int fd() const { return fd_.get(); }

    // Whether output may be sent: nothing waits to be written.
    bool writable() const { return pending_.empty(); }

    // Sends a message, or keeps it until the port takes it. Replies and the like only: their number is bounded by the host's requests.
    void send(const agent::Message& message);

    // Sends `size` bytes of a frame; what the port does not take now is kept.
    void send(const char* frame, size_t size);

    // To be called when the port has become writable.
    void flush();

    // How much waits to be written.
    size_t pending() const { return pending_.size(); }

    // Reads and gives each request that is whole to `take`. Fatal when the host's bytes are no requests.
    template <typename Take>
    void receive(Take take) {
        while (read_some()) {
            agent::Request request;
            while (next(request))
                take(request);
        }
    }

private:
    bool read_some();
    bool next(agent::Request& request);
    size_t write_some(const char* data, size_t size);

    base::UniqueFd fd_;
    agent::FrameDecoder decoder_{agent::kMaxRequestBytes};
    std::string pending_;
};

}  // namespace init
