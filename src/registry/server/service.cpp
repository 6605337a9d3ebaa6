#include "registry/server/service.h"

#include <openssl/crypto.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/fd.h"
#include "base/hash.h"
#include "base/hex.h"
#include "registry/server/errors.h"
#include "registry/server/maintenance.h"
#include "registry/server/names.h"
#include "registry/server/tokens.h"

namespace registry::server {
namespace {

constexpr size_t kSha256Digits = 64;
constexpr uint64_t kMinFreeFiles = 1000;  // that the disk must still take; the database needs some
constexpr Time kSessionSeconds = Time{12} * 3600;
constexpr uint64_t kMinFreeFilesForStrangers = 10'000;

uint64_t number_field(const std::string& text, const char* name) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw HttpError(http::kBadRequest, std::string(name) + " is not a number");
    return value;
}

bool equal_in_constant_time(const std::string& a, const std::string& b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Service::Service(Metadata& metadata, Storage& storage, const Limits& limits, unsigned hashing_threads, Tell tell)
    : metadata_(metadata),
      storage_(storage),
      limits_(limits),
      tell_(std::move(tell)),
      presence_(storage),
      verifier_(metadata, storage, hashing_threads, tell_) {
    // Verifications that a stopped server had not finished.
    if (read_only()) return;
    for (const std::string& id : metadata_.uploads(State::partial))
        verifier_.advance(id);
}

void Service::stop() {
    verifier_.stop();
    try {
        save_uses();
    } catch (const base::Error& e) {
        spdlog::error("uses of images are not counted: {}", e.what());
    }
}

void Service::refuse_blocked(const std::string& id, const Descriptor& descriptor) {
    std::vector<std::string> hashes = descriptor.chunks;
    hashes.push_back(id);
    hashes.push_back(descriptor.sha3);
    const std::optional<std::string> blocked = metadata_.find_blocked(hashes);
    if (blocked) throw HttpError(http::kBlocked, *blocked + " is blocked in this registry");
}

// What is reserved for a chunk counts in full until the chunk is there as a whole, although some of it takes space already.
uint64_t Service::room() {
    const uint64_t free = storage_.free_bytes();
    const std::lock_guard lock(mutex_);
    const uint64_t reserved = reserved_.bytes + elsewhere_.bytes;
    if (free < limits_.min_free || free - limits_.min_free < reserved || storage_.free_files() < kMinFreeFiles)
        throw HttpError(http::kNoSpace, "the registry's disk is full");
    return free - limits_.min_free - reserved;
}

std::shared_ptr<void> Service::reserve(const Upload& upload, uint64_t bytes) {
    const Receiving part{.bytes = bytes, .anonymous = upload.known ? 0 : bytes};
    // Reserved first and then compared: of two servers that do so at once, one at least sees what the other has reserved.
    std::shared_ptr<void> reservation(nullptr, [this, part](void*) {
        const std::lock_guard release(mutex_);
        reserved_.bytes -= part.bytes;
        reserved_.anonymous -= part.anonymous;
    });
    {
        const std::lock_guard lock(mutex_);
        reserved_.bytes += part.bytes;
        reserved_.anonymous += part.anonymous;
    }
    share_reserved();
    const uint64_t left = room();
    if (!upload.known) {
        const uint64_t used = metadata_.anonymous_bytes();
        const std::lock_guard lock(mutex_);
        // On a small disk strangers may have half of what users have not taken, so that a user's push still finds room.
        const uint64_t with_this = used + reserved_.anonymous + elsewhere_.anonymous;
        const uint64_t half = storage_.remote() ? UINT64_MAX : (with_this + left) / 2;
        const uint64_t quota = std::min(limits_.anonymous_quota, half);
        if (with_this > quota || storage_.free_files() < kMinFreeFilesForStrangers)
            throw HttpError(http::kNoSpace, "uploads without a login have used up what this registry has for them; log in and name a tag");
    }
    return reservation;
}

void Service::share_reserved() {
    Receiving mine;
    {
        const std::lock_guard lock(mutex_);
        mine = reserved_;
    }
    const Receiving others = metadata_.share_receiving(mine);
    const std::lock_guard lock(mutex_);
    elsewhere_ = others;
}

std::optional<int64_t> Service::find_token(const std::string& user, const std::string& token, const std::string& address) {
    const std::string hash = token_hash(token);
    std::vector<Token> tokens = metadata_.tokens(user);
    // All are compared, and one even where the user is unknown, so that the time reveals nothing about either.
    tokens.push_back({.id = 0, .hash = std::string(kSha256Digits, '-'), .note = "", .created = 0});
    const bool known_user = tokens.size() > 1;
    std::optional<int64_t> found;
    for (const Token& known : tokens) {
        if (equal_in_constant_time(known.hash, hash)) found = known.id;
    }
    // What is no name here may be a token in the wrong field.
    if (!found && known_user) tell("sign-in-refused", {{"user", user}, {"address", address}});
    if (!found && !known_user) tell("sign-in-refused", {{"address", address}});
    return found;
}

bool Service::login(const std::string& user, const std::string& token, const std::string& address) {
    if (!find_token(user, token, address)) return false;
    tell("sign-in", {{"user", user}, {"address", address}, {"by", "client"}});
    return true;
}

std::optional<std::string> Service::sign_in(const std::string& user, const std::string& token, const std::string& address) {
    const std::optional<int64_t> id = find_token(user, token, address);
    if (!id) return std::nullopt;
    tell("sign-in", {{"user", user}, {"address", address}, {"by", "page"}});
    const std::string secret = new_token();
    const Time now = std::time(nullptr);
    metadata_.add_session(*id, token_hash(secret), now + kSessionSeconds, now);
    return secret;
}

std::optional<std::string> Service::session_user(const std::string& secret) {
    return metadata_.find_session(token_hash(secret), std::time(nullptr));
}

void Service::sign_out(const std::string& secret) {
    metadata_.remove_session(token_hash(secret));
}

User Service::find_user(const std::string& name) {
    std::optional<User> user = metadata_.find_user(name);
    if (!user) throw HttpError(http::kNotFound, "there is no such user");
    if (!user->quota) user->quota = limits_.user_quota;
    return *std::move(user);
}

std::optional<Upload> Service::find_any(const std::string& id) {
    return base::is_hex(id, kSha256Digits) ? metadata_.find_upload(id) : std::nullopt;
}

Status Service::status(const std::string& id) {
    const std::optional<Upload> upload = find_any(id);
    if (!upload || upload->state == State::full) presence_.forget(id);
    if (!upload) return {};
    Status status{.known = true, .state = upload->state, .chunks = {}, .expires = upload->expires};
    if (upload->state == State::full) {
        status.chunks.assign(upload->descriptor.chunks.size(), true);
    } else if (storage_.remote()) {
        status.chunks = presence_.look(*upload, Presence::Clock::now());
    } else {
        status.chunks = storage_.which(upload->descriptor.chunks);
    }
    if (upload->state == State::partial && !read_only()) verifier_.advance(id);
    return status;
}

std::string Service::add_descriptor(std::span<const std::byte> bytes, const std::string& limited, const std::string& address, Time ttl) {
    Descriptor descriptor;
    try {
        descriptor = parse_descriptor(bytes);
    } catch (const base::Error& e) {
        throw HttpError(http::kBadRequest, e.what());
    }
    if (descriptor.size > limits_.image_size)
        throw HttpError(http::kBadRequest,
                        "the image is larger than this registry takes (" + std::to_string(limits_.image_size) + " bytes)");
    if (descriptor.chunks.size() > 1 && descriptor.chunk_size < limits_.min_chunk)
        throw HttpError(http::kBadRequest,
                        "the image's chunks are smaller than this registry takes (" + std::to_string(limits_.min_chunk) + " bytes)");
    std::string id = base::sha256_hex(bytes);
    refuse_blocked(id, descriptor);
    (void)room();
    if (!limited.empty() && !metadata_.find_upload(id)) {
        const unsigned wait = metadata_.count_push(limited, limits_.hourly_pushes);
        if (wait > 0) {
            throw HttpError(http::kTooManyRequests,
                            "this address has pushed " + std::to_string(limits_.hourly_pushes) + " images in an hour; try again later",
                            wait);
        }
    }
    const Time now = std::time(nullptr);
    if (metadata_.add_upload(id, descriptor, now, ttl > 0 ? now + ttl : 0)) {
        nlohmann::ordered_json details = {{"address", address}};
        details.update(image_details(id, descriptor));
        tell("upload", std::move(details));
    }
    verifier_.advance(id);
    return id;
}

Service::Incoming Service::begin_chunk(const ChunkFields& fields) {
    const std::optional<Upload> upload = find_any(fields.descriptor);
    if (!upload) throw HttpError(http::kBadRequest, "descr-sha256 names no descriptor that was pushed here");
    if (upload->state == State::bad) throw HttpError(http::kBadRequest, "the SHA3-224 of these chunks is not what the descriptor says");
    const Descriptor& descriptor = upload->descriptor;
    const uint64_t number = number_field(fields.number, "chunk-no");
    if (number >= descriptor.chunks.size())
        throw HttpError(http::kBadRequest,
                        "chunk-no is out of range: the image has " + std::to_string(descriptor.chunks.size()) + " chunks");
    const std::string& sha256 = descriptor.chunks[number];
    const uint64_t length = descriptor.chunk_length(number);
    if (fields.sha256 != sha256) throw HttpError(http::kBadRequest, "chunk-sha256 is not what the descriptor says");
    if (number_field(fields.length, "chunk-len") != length) throw HttpError(http::kBadRequest, "chunk-len is not what the descriptor says");
    if (number_field(fields.position, "chunk-pos") != number * descriptor.chunk_size)
        throw HttpError(http::kBadRequest, "chunk-pos is not what the descriptor says");
    refuse_blocked(upload->id, descriptor);
    // A store on another machine is asked at the end: nothing may wait for it here.
    const bool stored = !storage_.remote() && storage_.has(sha256);
    std::shared_ptr<void> reservation = stored ? nullptr : reserve(*upload, length);
    return {.id = upload->id,
            .sha256 = sha256,
            .length = length,
            .reservation = std::move(reservation),
            .writer = storage_.begin(sha256, length)};
}

void Service::end_chunk(Incoming& chunk) {
    const bool is_new = chunk.writer->commit();
    if (is_new) metadata_.add_stored(chunk.id, chunk.length);
    presence_.stored(chunk.id, chunk.sha256, is_new ? chunk.length : 0);
    chunk.reservation.reset();
    verifier_.advance(chunk.id);
    verifier_.stored(chunk.sha256);
}

std::string Service::add_image(int fd, const Descriptor& descriptor) {
    const std::string bytes = serialize(descriptor);
    std::string id = base::sha256_hex(std::as_bytes(std::span(bytes)));
    refuse_blocked(id, descriptor);
    metadata_.add_upload(id, descriptor, std::time(nullptr), 0);
    metadata_.set_known(id);
    const std::optional<Upload> upload = find_any(id);
    if (!upload) throw HttpError(http::kUnavailable, "the image was removed while it was stored", kRetryAfterSeconds);
    for (size_t number = 0; number < descriptor.chunks.size(); number++)
        store_chunk(*upload, number, fd);
    metadata_.set_state(id, State::full, std::time(nullptr));
    tell("fetch", image_details(id, descriptor));
    return id;
}

void Service::store_chunk(const Upload& upload, size_t number, int fd) {
    const std::string& sha256 = upload.descriptor.chunks[number];
    if (storage_.has(sha256)) return;
    const uint64_t length = upload.descriptor.chunk_length(number);
    Incoming chunk{.id = upload.id,
                   .sha256 = sha256,
                   .length = length,
                   .reservation = reserve(upload, length),
                   .writer = storage_.begin(sha256, length)};
    std::vector<std::byte> block(size_t{1} << 20);
    for (uint64_t done = 0; done < length;) {
        const auto part = std::span(block).first(std::min<uint64_t>(block.size(), length - done));
        const size_t size = base::pread_full(fd, part, number * upload.descriptor.chunk_size + done, "the fetched image");
        if (size < part.size()) throw base::Error("the fetched image became shorter");
        chunk.writer->write(part);
        done += size;
    }
    end_chunk(chunk);
}

void Service::remove_image(const std::string& id) {
    const std::optional<Upload> upload = find_any(id);
    metadata_.remove_mirrored(id);
    if (upload) metadata_.for_unused(upload->descriptor.chunks, [this](const std::string& chunk) { storage_.remove(chunk); });
}

void Service::check_login(const std::string& user, const std::string& login_name, const std::string& token, const std::string& address) {
    if (!find_token(login_name, token, address)) throw HttpError(http::kUnauthorized, "wrong user name or token");
    if (login_name != user) throw HttpError(http::kForbidden, login_name + " may not write to the repositories of " + user);
}

void Service::set_private(const Name& name, const std::string& login_name, const std::string& token, bool value,
                          const std::string& address) {
    check_name(name.user, "username");
    check_name(name.repository, "repository");
    check_login(name.user, login_name, token, address);
    metadata_.set_private(name.user, name.repository, value);
    spdlog::info("{}/{} is {}", name.user, name.repository, value ? "private" : "public");
    tell("repository-set",
         {{"user", login_name}, {"address", address}, {"image", full_name({name.user, name.repository, {}})}, {"private", value}});
}

void Service::attach(const std::string& id, const Name& name, const std::string& login_name, const std::string& token, bool only_check,
                     const std::string& address, Time ttl) {
    check_name(name.user, "username");
    check_name(name.repository, "repository");
    check_name(name.tag, "tag");
    check_login(name.user, login_name, token, address);
    const std::optional<Upload> upload = find_any(id);
    if (!upload) throw HttpError(http::kNotFound, "there is no such descriptor");
    refuse_blocked(id, upload->descriptor);
    if (upload->state == State::bad) throw HttpError(http::kConflict, "the image's SHA3-224 is not what its descriptor says");
    if (upload->state == State::partial && !only_check) throw HttpError(http::kConflict, "the image is not there as a whole");
    const Time now = std::time(nullptr);
    metadata_.set_tag(name, id, limits_.user_quota, now, only_check, ttl > 0 ? now + ttl : 0);
    metadata_.set_known(id);
    if (only_check) return;
    spdlog::info("{}/{}:{} is image {}", name.user, name.repository, name.tag, upload->descriptor.sha3);
    nlohmann::ordered_json details = {{"user", login_name}, {"address", address}, {"image", full_name(name)}};
    details.update(image_details(id, upload->descriptor));
    if (ttl > 0) details["expires"] = time_text(now + ttl);
    tell("tag", std::move(details));
}

void Service::count_use(const std::string& id) {
    if (read_only()) return;
    const std::lock_guard lock(mutex_);
    uses_[id]++;
}

void Service::save_uses() {
    std::map<std::string, uint64_t> uses;
    {
        const std::lock_guard lock(mutex_);
        uses.swap(uses_);
    }
    while (!uses.empty()) {
        try {
            metadata_.add_uses(uses.begin()->first, uses.begin()->second);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            for (const auto& [id, count] : uses)
                uses_[id] += count;
            throw;
        }
        uses.erase(uses.begin());
    }
}

void Service::tick() {
    if (read_only()) return;
    save_uses();
    share_reserved();
    verifier_.look_around();
    constexpr Time kBetween = 5;
    const Time now = std::time(nullptr);
    if (now - expired_ < kBetween && now >= expired_) return;
    expired_ = now;
    (void)remove_old_tags(metadata_, Age::expired, now, tell_);
    (void)remove_expired_uploads(metadata_, now);
}

}  // namespace registry::server
