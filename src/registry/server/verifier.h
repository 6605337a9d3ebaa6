#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "registry/server/metadata.h"
#include "registry/server/storage.h"
#include "registry/server/workers.h"

namespace registry::server {

// Computes the SHA3-224 of images during their upload, over the leading chunks as they are completed, so that the result is known soon
// after the last one. Hash states are kept in memory only; after a restart an image is hashed from its beginning.
class Verifier {
public:
    Verifier(Metadata& metadata, Storage& storage, unsigned threads) : metadata_(metadata), storage_(storage), workers_(threads) {}

    // Hashes what is stored of an upload, in the background. Call it when one of its chunks may have arrived.
    void advance(const std::string& id);

    // Does so for every upload that waits for this chunk.
    void stored(const std::string& sha256);

    void stop() { workers_.stop(); }

private:
    struct Progress;
    // Each step hashes one chunk, so that a large image does not delay others.
    void step(const std::string& id, const std::shared_ptr<Progress>& progress);
    bool hash_next(const std::string& id, Progress& progress);
    void post(const std::string& id, const std::shared_ptr<Progress>& progress);
    void forget_oldest();

    Metadata& metadata_;
    Storage& storage_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Progress>> all_;
    uint64_t clock_ = 0;
    Workers workers_;
};

}  // namespace registry::server
