#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/temporary_folder.h"
#include "http/client.h"
#include "registry/server/service.h"
#include "registry/server/workers.h"

namespace registry::server {

struct MirrorOptions {
    std::string upstream;                  // the other registry's URL; empty: no mirror
    uint64_t quota = uint64_t{100} << 30;  // bytes of the images that it keeps
};

// Images that are not here come from another registry: each is fetched there once, however many ask, compared with its hash, and kept until
// the quota needs its room. Nobody gets a byte before the whole image is right. Several threads may call its functions at once.
class Mirror {
public:
    static constexpr unsigned kMaxWaiting = 128;  // requests that wait for images; more of them wait for their turn

    // Fetches into a folder below `folder`, which goes with the object. Throws base::Error.
    Mirror(MirrorOptions options, Service& service, const std::filesystem::path& folder);

    // As the functions of Service, but what is not here is fetched first. HttpError 404 where the upstream has none, 502 where it sends
    // something else or nothing, 503 where it takes longer than the patience; then it goes on in the background.
    Upload find_by_tag(const std::string& name, const std::string& viewer);
    Upload find_by_hash(const std::string& sha3, const std::string& viewer);
    // Somebody downloads it.
    void use(const std::string& id);

    void stop();  // breaks off what is being fetched

private:
    struct Job;

    // What `work` returns, or throws; of those who ask for the same `key` at once, one does it. In `workers`, where given, it goes on when
    // the patience is over.
    std::string once(const std::string& key, const std::function<std::string()>& work, Workers* workers);
    void run(const std::string& key, Job& job, const std::function<std::string()>& work);
    // The hash of what a tag names at the upstream: what is known for a minute, or longer where the upstream does not answer.
    std::string resolve(const std::string& tag);
    // Returns the upload's id.
    std::string fetch(const std::string& sha3);
    // Removes images for one of so many bytes, which count until the result's end.
    std::shared_ptr<void> make_room(uint64_t bytes);

    MirrorOptions options_;
    http::Options http_;
    Service& service_;
    base::TemporaryFolder folder_;
    std::atomic<bool> stopping_{false};
    std::atomic<Time> silent_until_{0};  // the upstream has not answered
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Job>> jobs_;
    std::mutex room_mutex_;
    uint64_t fetching_ = 0;  // bytes of what is being fetched
    Workers fetchers_;
};

}  // namespace registry::server
