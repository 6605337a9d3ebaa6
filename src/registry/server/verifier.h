#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "registry/server/event.h"
#include "registry/server/metadata.h"
#include "registry/server/storage.h"
#include "registry/server/workers.h"

namespace registry::server {

// Computes the SHA3-224 of images during their upload, over the leading chunks as they are completed, so that the result is known soon
// after the last one. Hash states are kept in memory only; after a restart an image is hashed from its beginning. Of several servers on one
// data base one hashes an upload: the one that has claimed it. The others wake it when they have stored a chunk.
//
// A descriptor of 32 KB may order the hashing of 64 GiB, over chunks that are there already. So uploads take turns by who pays for them:
// first those for which a user has logged in; then those whose pushes have stored a sixteenth of what is hashed; the others share a pool,
// which fills slowly, and wait where it is empty. Hashing for strangers is bounded by what they store and by time.
class Verifier {
public:
    struct Budget {
        uint64_t factor = 16;                          // bytes hashed for each byte that an upload has stored
        uint64_t pool = uint64_t{16} << 30;            // bytes, for all the others; full at first
        uint64_t pool_per_second = uint64_t{4} << 20;  // by which it fills
    };

    // `tell` gets an event for each outcome.
    Verifier(Metadata& metadata, Storage& storage, unsigned threads, const Budget& budget, Tell tell = {})
        : metadata_(metadata), storage_(storage), budget_(budget), tell_(std::move(tell)), pool_(budget.pool), workers_(threads) {}
    Verifier(Metadata& metadata, Storage& storage, unsigned threads, Tell tell = {})
        : Verifier(metadata, storage, threads, Budget{}, std::move(tell)) {}

    // Hashes what is stored of an upload, in the background. Call it when one of its chunks may have arrived, and when somebody asks for
    // it: one that waits for the pool goes on then.
    void advance(const std::string& id);

    // Does so for every upload that waits for this chunk, at other servers, too.
    void stored(const std::string& sha256);

    // Goes on with uploads for which other servers have stored chunks, and with those that failed because data base or store did not
    // answer. Call it once a second.
    void look_around();

    void stop() { workers_.stop(); }

private:
    struct Progress;
    struct Job {
        std::string id;
        std::shared_ptr<Progress> progress;
    };
    enum Payer { kKnown, kPaid, kPool, kPayers };

    // Each step hashes one piece of a chunk, so that a large image does not delay others.
    void step();
    bool hash_next(const Job& job);
    bool hash_piece(Progress& progress, const Upload& upload);
    bool is_ours(Progress& progress, const std::string& id);
    bool may_hash(Progress& progress, const Upload& upload, uint64_t bytes);
    void finish(const Job& job, const Descriptor& descriptor);
    void post(const Job& job);
    void forget_oldest();

    Metadata& metadata_;
    Storage& storage_;
    const Budget budget_;
    const Tell tell_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Progress>> all_;
    std::array<std::deque<Job>, kPayers> waiting_;  // a step for each is posted
    std::set<std::string> failed_;
    uint64_t clock_ = 0;
    uint64_t pool_;
    std::chrono::steady_clock::time_point pool_filled_ = std::chrono::steady_clock::now();
    Workers workers_;
};

}  // namespace registry::server
