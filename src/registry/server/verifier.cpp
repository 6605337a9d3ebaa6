#include "registry/server/verifier.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <vector>

#include "base/hash.h"
#include "http/client.h"

namespace registry::server {
namespace {

constexpr size_t kMaxRemembered = 4096;  // uploads whose hash state is kept, some 600 bytes each
constexpr size_t kBlock = 256 << 10;
constexpr uint64_t kPiece = 16 << 20;  // hashed in one step
constexpr std::chrono::seconds kRenewClaim{10};

}  // namespace

struct Verifier::Progress {
    base::Hasher hasher{base::Hasher::Kind::sha3_224};
    size_t next = 0;      // the chunk to be hashed next
    uint64_t offset = 0;  // in it
    uint64_t hashed = 0;
    std::string sha3;     // of the whole image; kept while the data base does not take the outcome, for a hasher tells its hash once
    bool whole = true;    // false: another image has a chunk of this hash with another length than this descriptor says
    std::string waiting;  // its SHA-256 while it is missing
    Payer payer = kPaid;  // as the last step found it
    bool busy = false;    // a step is queued or running
    bool again = false;   // a chunk arrived meanwhile
    bool finished = false;
    uint64_t used = 0;
    std::optional<std::chrono::steady_clock::time_point> claimed;  // the last time
};

void Verifier::advance(const std::string& id) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Progress>& progress = all_[id];
    if (!progress) progress = std::make_shared<Progress>();
    progress->used = ++clock_;
    progress->again = progress->busy;
    if (!progress->busy) post({id, progress});
    if (all_.size() > kMaxRemembered) forget_oldest();
}

void Verifier::stored(const std::string& sha256) {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, progress] : all_) {
            if (progress->busy) progress->again = true;
            if (!progress->busy && progress->waiting == sha256) post({id, progress});
        }
    }
    metadata_.wake(sha256);
}

void Verifier::look_around() {
    std::set<std::string> ids;
    {
        const std::lock_guard lock(mutex_);
        ids.swap(failed_);
    }
    for (const std::string& id : ids)
        advance(id);
    for (const std::string& id : metadata_.woken())
        advance(id);
}

void Verifier::post(const Job& job) {
    job.progress->busy = true;
    job.progress->again = false;
    waiting_.at(job.progress->payer).push_back(job);
    (void)workers_.post([this] { step(); });
}

void Verifier::forget_oldest() {
    auto oldest = all_.end();
    for (auto it = all_.begin(); it != all_.end(); ++it) {
        if (!it->second->busy && (oldest == all_.end() || it->second->used < oldest->second->used)) oldest = it;
    }
    if (oldest != all_.end()) all_.erase(oldest);
}

void Verifier::step() {
    Job job;
    {
        const std::lock_guard lock(mutex_);
        auto& first = *std::find_if(waiting_.begin(), waiting_.end(), [](const auto& jobs) { return !jobs.empty(); });
        job = std::move(first.front());
        first.pop_front();
    }
    bool more = false;
    try {
        more = hash_next(job);
    } catch (const http::TransientError& e) {
        spdlog::error("cannot hash {} now: {}", job.id, e.what());
        const std::lock_guard lock(mutex_);
        failed_.insert(job.id);
    } catch (const std::exception& e) {
        spdlog::error("cannot hash {}: {}", job.id, e.what());
        job.progress->finished = true;
    }
    const std::lock_guard lock(mutex_);
    job.progress->busy = false;
    if (job.progress->finished) {
        all_.erase(job.id);
    } else if (more || job.progress->again) {
        post(job);
    }
}

// Whether this server may hash an upload now. Its claim is renewed long before it ends.
bool Verifier::is_ours(Progress& progress, const std::string& id) {
    const auto now = std::chrono::steady_clock::now();
    if (progress.claimed && now - *progress.claimed < kRenewClaim) return true;
    if (!metadata_.claim(id)) return false;
    progress.claimed = now;
    return true;
}

// Whether so many bytes of an upload may be hashed now. They are paid for then.
bool Verifier::may_hash(Progress& progress, const Upload& upload, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - pool_filled_);
    pool_ = std::min(budget_.pool, pool_ + static_cast<uint64_t>(seconds.count()) * budget_.pool_per_second);
    pool_filled_ += seconds;
    const bool paid = (progress.hashed + bytes) / budget_.factor <= upload.stored;
    progress.payer = kPool;
    if (paid) progress.payer = kPaid;
    if (upload.known) progress.payer = kKnown;
    if (progress.payer != kPool) return true;
    if (pool_ < bytes) return false;
    pool_ -= bytes;
    return true;
}

// Returns whether a piece was hashed.
bool Verifier::hash_piece(Progress& progress, const Upload& upload) {
    const Descriptor& descriptor = upload.descriptor;
    const std::string& chunk = descriptor.chunks[progress.next];
    {
        const std::lock_guard lock(mutex_);
        progress.waiting = chunk;
    }
    if (!storage_.has(chunk)) return false;
    const uint64_t length = descriptor.chunk_length(progress.next);
    const uint64_t piece = std::min(kPiece, length - std::min(length, progress.offset));
    if (!may_hash(progress, upload, piece)) return false;
    const uint64_t longer = progress.offset + piece == length ? 1 : 0;  // a byte more, to see whether there is one
    const auto reader = storage_.open(chunk, {.first = progress.offset, .end = progress.offset + piece + longer});
    std::vector<std::byte> block(kBlock);
    const uint64_t end = progress.offset + kPiece;
    size_t n = 1;
    while (progress.offset < end && (n = reader->read(progress.offset, block)) > 0) {
        progress.hasher.update(std::span(block).first(n));
        progress.offset += n;
        progress.hashed += n;
    }
    if (n > 0 && progress.offset < length) return true;
    progress.whole = progress.offset == length && reader->read(progress.offset, block) == 0;
    progress.next++;
    progress.offset = 0;
    return true;
}

// Returns whether there may be more to do now.
bool Verifier::hash_next(const Job& job) {
    Progress& progress = *job.progress;
    const std::optional<Upload> upload = metadata_.find_upload(job.id);
    progress.finished = !upload || upload->state != State::partial;
    if (progress.finished) return false;
    progress.finished = !is_ours(progress, job.id);
    if (progress.finished) return false;
    const size_t count = upload->descriptor.chunks.size();
    if (progress.next < count && !hash_piece(progress, *upload)) return false;
    if (progress.whole && progress.next < count) return true;
    finish(job, upload->descriptor);
    return false;
}

void Verifier::finish(const Job& job, const Descriptor& descriptor) {
    std::string& sha3 = job.progress->sha3;
    if (sha3.empty()) sha3 = job.progress->hasher.hex();
    const bool good = job.progress->whole && sha3 == descriptor.sha3;
    if (good) spdlog::info("image {} verified ({} bytes)", sha3, descriptor.size);
    if (!good) spdlog::warn("upload {}: the image's SHA3-224 is {}, its descriptor says {}", job.id, sha3, descriptor.sha3);
    metadata_.set_state(job.id, good ? State::full : State::bad, std::time(nullptr));
    job.progress->finished = true;
    if (tell_) tell_({.name = good ? "push" : "bad-push", .details = image_details(job.id, descriptor)});
}

}  // namespace registry::server
