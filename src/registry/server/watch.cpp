#include "registry/server/watch.h"

#include <sys/socket.h>

namespace registry::server {
namespace {

constexpr uint64_t kBodyRate = 4096;  // bytes a second, from the body's beginning

}  // namespace

void Watch::opened(MHD_Connection* connection, int socket) {
    const std::lock_guard lock(mutex_);
    entries_[connection] = {.socket = socket, .phase = Phase::head, .since = Clock::now(), .bytes = 0};
}

void Watch::closed(MHD_Connection* connection) {
    const std::lock_guard lock(mutex_);
    entries_.erase(connection);
}

void Watch::enter(MHD_Connection* connection, Phase phase) {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(connection);
    if (it == entries_.end()) return;
    it->second.phase = phase;
    it->second.since = Clock::now();
    it->second.bytes = 0;
}

void Watch::body_begins(MHD_Connection* connection) {
    enter(connection, Phase::body);
}

void Watch::answering(MHD_Connection* connection) {
    enter(connection, Phase::answer);
}

void Watch::idle(MHD_Connection* connection) {
    enter(connection, Phase::head);
}

void Watch::body_grew(MHD_Connection* connection, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(connection);
    if (it != entries_.end()) it->second.bytes += bytes;
}

void Watch::end_slow() {
    const auto now = Clock::now();
    const std::lock_guard lock(mutex_);  // held, so that no socket is closed meanwhile and its number reused
    for (auto& [connection, entry] : entries_) {
        const auto age = now - entry.since;
        const auto seconds = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(age).count());
        const bool slow = (entry.phase == Phase::head && age > limit_) ||
                          (entry.phase == Phase::body && age > limit_ && entry.bytes < seconds * kBodyRate);
        if (slow) (void)::shutdown(entry.socket, SHUT_RDWR);
    }
}

}  // namespace registry::server
