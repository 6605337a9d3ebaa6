#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "registry/server/event.h"
#include "registry/server/metadata.h"
#include "registry/server/presence.h"
#include "registry/server/storage.h"
#include "registry/server/verifier.h"

namespace registry::server {

struct Limits {
    uint64_t image_size = uint64_t{64} << 30;
    uint64_t user_quota = uint64_t{100} << 30;      // of users that have none of their own
    uint64_t min_free = uint64_t{1} << 30;          // free space on the disk below which nothing is accepted
    uint64_t anonymous_quota = uint64_t{50} << 30;  // what uploads that no logged-in user has asked for may have stored, in all
    uint64_t min_chunk = 64 << 10;                  // an image of more than one chunk has none smaller, but for its last
    unsigned hourly_pushes = 120;                   // new descriptors that an address may push in an hour
    Time link_seconds = Time{12} * 3600;            // for which a link to a private image holds
    bool read_only = false;                         // nothing is taken, counted or removed
};

struct Status {
    bool known = false;
    State state = State::partial;
    std::vector<bool> chunks;  // which are stored
    Time expires = 0;          // as Upload has it
};

// A chunk's description in its push, as the form's texts.
struct ChunkFields {
    std::string descriptor, number, sha256, position, length;
};

// Paths of downloads: of an upload by its id, and of one by a link to it (link.h).
inline constexpr std::string_view kDownload = "/download/";
inline constexpr std::string_view kPrivateDownload = "/download/private/";

// The registry without HTTP: rules over Metadata and Storage. A client's errors are HttpErrors. Several threads may call it at once.
class Service {
public:
    // `tell` gets what happens; empty: nobody does.
    Service(Metadata& metadata, Storage& storage, const Limits& limits, unsigned hashing_threads, Tell tell = {});

    // `address` is the client's, for what is told of it.
    bool login(const std::string& user, const std::string& token, const std::string& address);
    // For the page: the secret of a new session, nothing where user or token is wrong; and the user of one.
    std::optional<std::string> sign_in(const std::string& user, const std::string& token, const std::string& address);
    std::optional<std::string> session_user(const std::string& secret);
    void sign_out(const std::string& secret);
    // With the quota that holds. Throws HttpError 404.
    User find_user(const std::string& name);
    Status status(const std::string& id);
    // Returns the upload's id. `limited` is what counts for the client's limit; empty where it has none.
    // `ttl`: the seconds after which a new upload is removed, unless a tag names it; 0: when it is old.
    std::string add_descriptor(std::span<const std::byte> bytes, const std::string& limited, const std::string& address = {}, Time ttl = 0);

    // A chunk that is being received; it stays invisible until it is committed.
    struct Incoming {
        std::string id;
        std::string sha256;
        uint64_t length = 0;
        std::shared_ptr<void> reservation;  // of its whole length, on the disk and in the anonymous quota
        std::unique_ptr<ChunkWriter> writer;
    };
    Incoming begin_chunk(const ChunkFields& fields);
    void end_chunk(Incoming& chunk);

    // Stores an image that this server has fetched itself, and whose hash is right; `fd` is open on it. Returns the upload's id. It counts
    // as a known user's.
    std::string add_image(int fd, const Descriptor& descriptor);
    // Removes a fetched image that no tag names, with the chunks that nothing else has.
    void remove_image(const std::string& id);

    // Sets a tag, or only checks that it could be set now or, while chunks are missing, later. `ttl`: the seconds after which it is
    // removed; 0: it stays.
    void attach(const std::string& id, const Name& name, const std::string& login, const std::string& token, bool only_check,
                const std::string& address = {}, Time ttl = 0);

    // Makes a repository private or public; one that is not there is made.
    void set_private(const Name& name, const std::string& login, const std::string& token, bool value, const std::string& address = {});

    // Full uploads that are not blocked and that `viewer` may have (Metadata); HttpError 404 or 451 otherwise.
    Upload find_by_tag(const std::string& name, const std::string& viewer);
    Upload find_by_hash(const std::string& sha3, const std::string& viewer);
    Upload find(const std::string& id, const std::string& viewer);
    Upload find_whole(const std::string& id);  // whoever asks
    // What a link (link.h) names. HttpError 403 where its time is over, 404 where it is not one of ours or was ended.
    Upload find_linked(const std::string& link);
    // The path below the registry's address for downloads of an upload that `viewer` has found: to a private image a link.
    std::string download_path(const std::string& id, const std::string& viewer);

    void count_use(const std::string& id);
    // Tells the data base what has changed in memory, and learns what other servers have done. Call it once a second.
    void tick();

    const Limits& limits() const { return limits_; }
    bool read_only() const { return limits_.read_only; }
    Metadata& metadata() { return metadata_; }
    Storage& storage() { return storage_; }
    void tell(const std::string& name, nlohmann::ordered_json details) const {
        if (tell_) tell_({.name = name, .details = std::move(details)});
    }
    void stop();  // after the last request

private:
    // Throws HttpError 401 where the token is not the login's, 403 where the login is not the user.
    void check_login(const std::string& user, const std::string& login, const std::string& token, const std::string& address);
    // Throws HttpError 404 where there is none, or not all of it; 451 where it is blocked.
    Upload served(std::optional<Upload> upload);
    std::string link_key();
    // The number of a user's token. A wrong one is told.
    std::optional<int64_t> find_token(const std::string& user, const std::string& token, const std::string& address);
    // An upload in any state; none also where `id` is no descriptor hash.
    std::optional<Upload> find_any(const std::string& id);
    // Throws HttpError 451 where any part of an upload is blocked.
    void refuse_blocked(const std::string& id, const Descriptor& descriptor);
    // The bytes that the disk can still take. Throws HttpError 507 where it is below its limits.
    uint64_t room();
    void store_chunk(const Upload& upload, size_t number, int fd);
    // Holds room for a chunk until the result's end. Throws HttpError 507.
    std::shared_ptr<void> reserve(const Upload& upload, uint64_t bytes);
    void share_reserved();
    void save_uses();

    Metadata& metadata_;
    Storage& storage_;
    Limits limits_;
    Tell tell_;
    Presence presence_;
    Verifier verifier_;
    Time expired_ = 0;  // when what has a time was looked at last
    std::mutex mutex_;
    std::string link_key_;                  // once it is known
    Receiving reserved_;                    // by chunks that are being received here
    Receiving elsewhere_;                   // by other servers, when they were asked the last time
    std::map<std::string, uint64_t> uses_;  // not yet in the database: committing each would cost a disk write each
};

}  // namespace registry::server
