#include "registry/server/presence.h"

#include <algorithm>
#include <utility>

namespace registry::server {
namespace {

constexpr size_t kMaxUploads = 256;  // some 150 KB each, at most
constexpr std::chrono::seconds kBetweenLooks{1};
constexpr std::chrono::seconds kTrusted{30};

}  // namespace

std::shared_ptr<Presence::Seen> Presence::entry(const std::string& upload, bool make) {
    const std::lock_guard lock(mutex_);
    const auto found = uploads_.find(upload);
    if (found == uploads_.end() && !make) return nullptr;
    if (found == uploads_.end() && uploads_.size() == kMaxUploads) {
        uploads_.erase(std::min_element(uploads_.begin(), uploads_.end(),
                                        [](const auto& a, const auto& b) { return a.second->used < b.second->used; }));
    }
    std::shared_ptr<Seen>& seen = uploads_[upload];
    if (!seen) seen = std::make_shared<Seen>();
    seen->used = ++clock_;
    return seen;
}

std::vector<bool> Presence::look(const Upload& upload, Clock::time_point now) {
    const std::shared_ptr<Seen> seen = entry(upload.id, true);
    const std::lock_guard lock(seen->mutex);
    const bool trusted = !seen->chunks.empty() && now - seen->since < kTrusted;
    if (!trusted) {
        seen->chunks.clear();
        for (const std::string& chunk : upload.descriptor.chunks)
            seen->chunks[chunk] = false;
        seen->since = now;
    }
    // Of another server's pushes only the bytes that they have stored are known.
    const bool changed = std::exchange(seen->stored, upload.stored) != upload.stored;
    if (!trusted || changed || now - seen->looked >= kBetweenLooks) {
        std::vector<std::string> missing;
        for (const auto& [chunk, there] : seen->chunks)
            if (!there) missing.push_back(chunk);
        const std::vector<bool> found = storage_.which(missing);
        for (size_t i = 0; i < missing.size(); i++)
            seen->chunks[missing[i]] = found[i];
        seen->looked = now;
    }
    std::vector<bool> result;
    result.reserve(upload.descriptor.chunks.size());
    for (const std::string& chunk : upload.descriptor.chunks)
        result.push_back(seen->chunks[chunk]);
    return result;
}

void Presence::stored(const std::string& upload, const std::string& sha256, uint64_t bytes) {
    const std::shared_ptr<Seen> seen = entry(upload, false);
    if (!seen) return;
    const std::lock_guard lock(seen->mutex);
    if (!seen->chunks.empty()) seen->chunks[sha256] = true;
    seen->stored += bytes;
}

void Presence::forget(const std::string& upload) {
    const std::lock_guard lock(mutex_);
    uploads_.erase(upload);
}

}  // namespace registry::server
