#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "registry/server/records.h"
#include "registry/server/storage.h"

namespace registry::server {

// Which chunks of an upload a store on another machine has, without a question for each of them whenever somebody asks: a client does so
// every second. A chunk that was seen while its upload was in the data base stays there with it, since collect_garbage removes only what no
// upload has. It is asked for again after half a minute all the same, for `fsck --repair` removes what is broken. Several threads may call
// its functions at once.
class Presence {
public:
    using Clock = std::chrono::steady_clock;

    explicit Presence(const Storage& storage) : storage_(storage) {}

    // For each chunk of the upload, in order. `upload` was read just now. A chunk that came in the last second may be missing where the
    // upload's own pushes were not the first to store it: another upload's were, or one that a killed server had not told the data base of.
    std::vector<bool> look(const Upload& upload, Clock::time_point now);
    // This server has a chunk of the upload; `bytes`: so many are new in the store.
    void stored(const std::string& upload, const std::string& sha256, uint64_t bytes);
    // The upload is full, or gone.
    void forget(const std::string& upload);

private:
    struct Seen {
        std::mutex mutex;  // held while the store is asked, so that it is asked once
        Clock::time_point since, looked;
        std::map<std::string, bool> chunks;
        uint64_t stored = 0;  // Upload::stored as it was at the last look
        uint64_t used = 0;    // guarded by Presence::mutex_
    };
    std::shared_ptr<Seen> entry(const std::string& upload, bool make);

    const Storage& storage_;
    std::mutex mutex_;
    uint64_t clock_ = 0;
    std::map<std::string, std::shared_ptr<Seen>> uploads_;
};

}  // namespace registry::server
