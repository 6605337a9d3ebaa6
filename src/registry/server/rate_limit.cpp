#include "registry/server/rate_limit.h"

#include <algorithm>
#include <cmath>

namespace registry::server {
namespace {

constexpr double kSecondsPerHour = 3600;

}  // namespace

void RateLimit::refill(Bucket& bucket, Clock::time_point now) const {
    const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
    bucket.left = std::min(hourly_, bucket.left + seconds * hourly_ / kSecondsPerHour);
    bucket.filled = now;
}

void RateLimit::forget_idle(Clock::time_point now) {
    for (auto client = clients_.begin(); client != clients_.end();) {
        refill(client->second, now);
        client = client->second.left >= hourly_ ? clients_.erase(client) : std::next(client);
    }
}

unsigned RateLimit::take(const std::string& client, Clock::time_point now) {
    if (clients_.size() >= kMaxClients && !clients_.contains(client)) forget_idle(now);
    const std::string& key = clients_.size() >= kMaxClients && !clients_.contains(client) ? std::string() : client;
    const auto [found, is_new] = clients_.try_emplace(key, Bucket{.left = hourly_, .filled = now});
    Bucket& bucket = found->second;
    refill(bucket, now);
    if (bucket.left < 1) return static_cast<unsigned>(std::ceil((1 - bucket.left) * kSecondsPerHour / hourly_));
    bucket.left -= 1;
    return 0;
}

}  // namespace registry::server
