#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "registry/server/service.h"
#include "registry/server/storage.h"
#include "registry/server/workers.h"

namespace registry::server {

// Sends clients to the store for images that are asked for often. Such an image is composed there as one object of its chunks, once,
// however many servers there are: the one composes it that has the row. Objects that were not used for longest go where the quota needs
// their room, and all others as soon as their images may not be had any more. Several threads may call its functions at once.
class Redirects {
public:
    static constexpr Time kLifetime = 60;  // seconds, of a URL; a download that has begun goes on

    // `quota`: the bytes of the objects, of all servers together.
    Redirects(Service& service, ImageObjects& objects, uint64_t quota);

    // Where a client gets an image that it may have now; none where the registry itself is to answer. `longest`: seconds for which the URL
    // may hold. `whole`: the client wants all of it, which counts.
    std::optional<std::string> url(const Upload& upload, Time longest, bool whole);

    void stop();  // gives up what is being composed

    uint64_t sent() const { return sent_; }          // clients
    uint64_t composed() const { return composed_; }  // images

private:
    void count(const std::string& id);
    void compose(const std::string& id);
    void write(const Upload& upload, const std::string& object);
    bool make_room();
    void keep(const std::stop_token& stop);
    void tick(Time now);

    Service& service_;
    ImageObjects& objects_;
    uint64_t quota_;
    std::atomic<uint64_t> sent_ = 0, composed_ = 0;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> lost_ = false;         // the claim on the object that is being written
    std::mutex mutex_;                       // of the rest
    std::map<std::string, unsigned> asked_;  // how often each image was, since the start or since it was to be composed
    std::string writing_;                    // the name of the object that is being written
    Time renewed_ = 0;
    Workers composer_{1};
    std::jthread keeper_;
};

}  // namespace registry::server
