#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <unordered_map>

struct MHD_Connection;

namespace registry::server {

// Watches the connections, to end those on which a request arrives too slowly. libmicrohttpd's own timeout only covers silence: a byte now
// and then would keep a connection for ever.
class Watch {
public:
    // How long a head may take, and how long an idle connection is kept; a body may take longer only at a minimum rate.
    explicit Watch(std::chrono::seconds limit) : limit_(limit) {}

    void opened(MHD_Connection* connection, int socket);
    void closed(MHD_Connection* connection);
    void body_begins(MHD_Connection* connection);
    void body_grew(MHD_Connection* connection, uint64_t bytes);
    // The request is complete: its duration now depends on us, or on how fast the client reads.
    void answering(MHD_Connection* connection);
    void idle(MHD_Connection* connection);

    // Shuts down the connections that are too slow.
    void end_slow();

private:
    using Clock = std::chrono::steady_clock;
    enum class Phase { head, body, answer };
    struct Entry {
        int socket = -1;
        Phase phase = Phase::head;
        Clock::time_point since;
        uint64_t bytes = 0;
    };
    void enter(MHD_Connection* connection, Phase phase);

    std::chrono::seconds limit_;
    std::mutex mutex_;
    std::unordered_map<MHD_Connection*, Entry> entries_;
};

}  // namespace registry::server
