#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/stream.h"
#include "s3/listing.h"
#include "s3/settings.h"

namespace s3 {

// How long a caller waits for a store that does not answer: some 4 s, 10 s, or a minute. Where the last request has failed, one try is
// made.
enum class Patience { little, some, much };

// Requests to a store. Several threads may call its functions at once; each request in progress has a connection of its own, and some are
// kept. What may pass by itself (no connection, SlowDown, a time-out) is tried again after a pause, and throws http::TransientError in the
// end. Any other refusal throws base::Error. Keys are without the prefix, of letters, digits and -_./ alone.
class Client {
public:
    static constexpr size_t kMaxParked = 64;  // some 400 KB each

    explicit Client(Settings settings);

    const std::string& name() const { return settings_.name; }

    // Tries once whether the store takes the keys and has the bucket.
    void check();
    // An object's size; none where it is not there.
    std::optional<uint64_t> size(const std::string& key);
    // Writes a whole object: the first `length` bytes of a file. The store compares the SHA-256.
    void put(const std::string& key, int fd, uint64_t length, const std::string& sha256) {
        put(key, fd, length, sha256, {}, Patience::some);
    }
    // The same of a file that is still being written (http::Request::growing).
    void put(const std::string& key, int fd, uint64_t length, const std::string& sha256,
             const std::function<uint64_t(uint64_t position)>& growing, Patience patience);
    void remove(const std::string& key);  // no error where it is not there
    // Calls `each` for every object whose key begins with `prefix`, by a request for each thousand.
    void list(const std::string& prefix, const std::function<void(const Object&)>& each);

    // Uploads in parts (multipart.h) that were neither finished nor dropped, of keys that begin with `prefix`; at most 1,000 of them.
    std::vector<PartialUpload> partial_uploads(const std::string& prefix);
    void abort(const PartialUpload& upload);  // no error where it is not there

    // presign.h, at the store's public address.
    std::string presigned(const std::string& key, std::time_t now, std::chrono::seconds lifetime) const;

private:
    friend class Reader;
    friend class MultipartWriter;
    http::Response send(const http::Request& request, Patience patience = Patience::some);
    // By a connection of its own, for an answer that may take as long.
    http::Response send_patiently(const http::Request& request, std::chrono::milliseconds longest);
    // Runs f by http::retry.
    void retry(Patience patience, const std::function<void()>& f);
    std::string url(const std::string& key) const { return settings_.bucket + "/" + settings_.prefix + key; }
    Listing list_page(const std::string& prefix, const std::string& token, unsigned limit, Patience patience);
    std::unique_ptr<http::Stream> take_stream();
    void give_back(std::unique_ptr<http::Stream> stream);
    // Keeps a stream that is in the middle of an answer for whoever began it, under a number above 0. Of more than kMaxParked the one that
    // was parked first goes.
    uint64_t park(std::unique_ptr<http::Stream> stream);
    std::unique_ptr<http::Stream> take_parked(uint64_t number);  // null where it went

    using Clock = std::chrono::steady_clock;
    Settings settings_;
    http::Options options_;
    std::atomic<Clock::rep> down_until_{0};
    // Whether a store may compare the SHA-256 that a PUT names as the object's checksum, which goes with a signature of the headers alone;
    // stores hash less then than for a signature of the body, which each one compares.
    std::atomic<bool> compares_checksums_ = true;
    std::mutex mutex_;
    std::vector<std::unique_ptr<http::Session>> sessions_;  // that nobody uses
    std::vector<std::unique_ptr<http::Stream>> streams_;
    std::map<uint64_t, std::unique_ptr<http::Stream>> parked_;
    uint64_t last_parked_ = 0;
};

// Throws what the store says.
[[noreturn]] void refuse(const http::Request& request, const http::Response& answer);

}  // namespace s3
