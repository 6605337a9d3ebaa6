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

    // Whether output may be sent: nothing is queued.
    bool writable() const { return pending_.empty(); }

    // Sends a message, or keeps it until the port takes it. For replies and the like only: the host's requests bound their number.
    void send(const agent::Message& message);

    // Sends `size` bytes of a frame; keeps what the port does not take now.
    void send(const char* frame, size_t size);

    // Call it when the port has become writable.
    void flush();

    // Bytes that are queued.
    size_t pending() const { return pending_.size(); }

    // Reads, and gives each complete request to `take`. Fatal when the host's bytes are no requests.
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
