#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/fd.h"

namespace thin {

// Serves a disk, read-only, to one NBD client at the other end of a socket (the NBD protocol's fixed newstyle handshake, simple replies),
// on a thread of its own. The export's size is the disk's, filled up with zeros to a multiple of 4 KiB. A read waits until its bytes are
// there: there is no error but for a violation of the protocol, at which the connection ends. What the client sends is bounded and checked.
class NbdServer {
public:
    // Reads bytes of the disk; returns false where some of them are not there yet. Called from the thread.
    using TryRead = std::function<bool(uint64_t position, std::span<std::byte> buffer)>;

    NbdServer(uint64_t size, TryRead read, base::UniqueFd socket);
    ~NbdServer();  // ends the connection
    NbdServer(const NbdServer&) = delete;
    NbdServer& operator=(const NbdServer&) = delete;

    // Bytes have arrived, for which a read may wait. From any thread.
    void wake();

private:
    class State;
    std::unique_ptr<State> state_;
};

}  // namespace thin
