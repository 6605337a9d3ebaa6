#pragma once

#include <memory>

#include "base/fd.h"
#include "thin/blocks.h"

namespace thin {

// Serves a full image, read-only, to one NBD client at the other end of a socket (the NBD protocol's fixed newstyle handshake, simple
// replies), on a thread of its own. The export's size is the image's, filled up with zeros to a multiple of 4 KiB. A read waits until its
// blocks are there: the client never gets an error for a server that fails, and never a wrong byte. What the client sends is bounded and
// checked; at a violation the connection ends.
class NbdServer {
public:
    // `options.arrived` is replaced. `cache` must outlive the object.
    NbdServer(gvmi::ThinTable table, BlockCache* cache, FetchOptions options, base::UniqueFd socket);
    ~NbdServer();  // ends the connection, then as ~Blocks
    NbdServer(const NbdServer&) = delete;
    NbdServer& operator=(const NbdServer&) = delete;

    Blocks& blocks();

private:
    class State;
    std::unique_ptr<State> state_;
};

}  // namespace thin
