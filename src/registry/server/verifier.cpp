#include "registry/server/verifier.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "base/hash.h"

namespace registry::server {
namespace {

constexpr size_t kMaxRemembered = 4096;  // uploads whose hash state is kept, some 600 bytes each
constexpr size_t kBlock = 256 << 10;

}  // namespace

struct Verifier::Progress {
    base::Hasher hasher{base::Hasher::Kind::sha3_224};
    size_t next = 0;      // the chunk to be hashed next
    std::string waiting;  // its SHA-256 while it is missing
    bool busy = false;    // a step is queued or running
    bool again = false;   // a chunk arrived meanwhile
    uint64_t used = 0;
};

void Verifier::advance(const std::string& id) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Progress>& progress = all_[id];
    if (!progress) progress = std::make_shared<Progress>();
    progress->used = ++clock_;
    progress->again = progress->busy;
    if (!progress->busy) post(id, progress);
    if (all_.size() > kMaxRemembered) forget_oldest();
}

void Verifier::stored(const std::string& sha256) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, progress] : all_) {
        if (progress->busy) progress->again = true;
        if (!progress->busy && progress->waiting == sha256) post(id, progress);
    }
}

void Verifier::post(const std::string& id, const std::shared_ptr<Progress>& progress) {
    progress->busy = true;
    progress->again = false;
    (void)workers_.post([this, id, progress] { step(id, progress); });
}

void Verifier::forget_oldest() {
    auto oldest = all_.end();
    for (auto it = all_.begin(); it != all_.end(); ++it) {
        if (!it->second->busy && (oldest == all_.end() || it->second->used < oldest->second->used)) oldest = it;
    }
    if (oldest != all_.end()) all_.erase(oldest);
}

void Verifier::step(const std::string& id, const std::shared_ptr<Progress>& progress) {
    bool more = false;
    try {
        more = hash_next(id, *progress);
    } catch (const std::exception& e) {
        spdlog::error("cannot hash {}: {}", id, e.what());
        progress->next = SIZE_MAX;
    }
    const std::lock_guard lock(mutex_);
    progress->busy = false;
    if (progress->next == SIZE_MAX) {
        all_.erase(id);
    } else if (more || progress->again) {
        post(id, progress);
    }
}

// Returns whether there may be more to do now; sets `next` to SIZE_MAX where nothing is left to do.
bool Verifier::hash_next(const std::string& id, Progress& progress) {
    const std::optional<Upload> upload = metadata_.find_upload(id);
    if (!upload || upload->state != State::partial) {
        progress.next = SIZE_MAX;
        return false;
    }
    const Descriptor& descriptor = upload->descriptor;
    bool whole = true;  // false: another image has a chunk of this hash with another length than this descriptor says
    if (progress.next < descriptor.chunks.size()) {
        const std::string& chunk = descriptor.chunks[progress.next];
        {
            const std::lock_guard lock(mutex_);
            progress.waiting = chunk;
        }
        if (!storage_.has(chunk)) return false;
        const std::unique_ptr<ChunkReader> reader = storage_.open(chunk);
        std::vector<std::byte> block(kBlock);
        uint64_t offset = 0;
        while (const size_t n = reader->read(offset, block)) {
            progress.hasher.update(std::span(block).first(n));
            offset += n;
        }
        whole = offset == descriptor.chunk_length(progress.next);
        progress.next++;
        if (whole && progress.next < descriptor.chunks.size()) return true;
    }
    const std::string sha3 = progress.hasher.hex();
    const bool good = whole && sha3 == descriptor.sha3;
    if (good) spdlog::info("image {} verified ({} bytes)", sha3, descriptor.size);
    if (!good) spdlog::warn("upload {}: the image's SHA3-224 is {}, its descriptor says {}", id, sha3, descriptor.sha3);
    metadata_.set_state(id, good ? State::full : State::bad, std::time(nullptr));
    progress.next = SIZE_MAX;
    return false;
}

}  // namespace registry::server
