#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace registry::server {

// How often something may happen for each client: so many times at once, and as many in an hour. Not for several threads at once.
class RateLimit {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr size_t kMaxClients = 10'000;  // of which something is remembered; more share one limit

    explicit RateLimit(unsigned hourly) : hourly_(hourly) {}

    // Counts one more and returns 0, or the seconds after which the client may try again.
    unsigned take(const std::string& client, Clock::time_point now);

private:
    struct Bucket {
        double left = 0;
        Clock::time_point filled;
    };
    void refill(Bucket& bucket, Clock::time_point now) const;
    void forget_idle(Clock::time_point now);

    double hourly_;
    std::map<std::string, Bucket> clients_;
};

}  // namespace registry::server
