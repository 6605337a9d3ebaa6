#include "s3/client.h"

#include <openssl/evp.h>

#include <utility>

#include "base/error.h"
#include "base/hex.h"
#include "http/percent_encode.h"
#include "http/retry.h"
#include "http/status.h"
#include "s3/presign.h"

namespace s3 {
namespace {

constexpr size_t kMaxIdle = 64;
constexpr unsigned kPage = 1000;  // objects in an answer; the most that S3 gives
constexpr std::chrono::seconds kDown{2};
constexpr size_t kSha256Bytes = 32;
constexpr const char* kChecksum = "x-amz-checksum-sha256";

http::Options options(const Settings& settings) {
    http::Options options;
    options.connect = std::chrono::milliseconds(1500);
    options.answer = std::chrono::milliseconds(4000);
    options.stall = std::chrono::seconds(20);
    options.pause = std::chrono::milliseconds(200);
    options.longest_retry_after = std::chrono::seconds(5);
    options.aws = settings.keys;
    return options;
}

int tries(Patience patience) {
    constexpr int kLittle = 2, kSome = 4, kMuch = 9;
    if (patience == Patience::little) return kLittle;
    return patience == Patience::some ? kSome : kMuch;
}

std::string base64(const std::string& bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data, static_cast<int>(bytes.size()));
    text.resize(static_cast<size_t>(length));
    return text;
}

}  // namespace

void refuse(const http::Request& request, const http::Response& answer) {
    throw base::Error(request.method + " " + request.url + ": status " + std::to_string(answer.status) + ": " + error_text(answer.body));
}

Client::Client(Settings settings) : settings_(std::move(settings)), options_(options(settings_)) {}

// A store that has failed is asked once until it has been down for a while, so that not all threads wait for it.
void Client::retry(Patience patience, const std::function<void()>& f) {
    http::Options with = options_;
    with.tries = tries(patience);
    if (patience == Patience::little) with.last_try = std::chrono::seconds(2);
    if (patience != Patience::much && Clock::now().time_since_epoch().count() < down_until_) with.tries = 1;
    try {
        http::retry(with, f);
    } catch (const http::TransientError&) {
        down_until_ = (Clock::now() + kDown).time_since_epoch().count();
        throw;
    }
}

http::Response Client::send(const http::Request& request, Patience patience) {
    std::unique_ptr<http::Session> session;
    {
        const std::lock_guard lock(mutex_);
        if (!sessions_.empty()) {
            session = std::move(sessions_.back());
            sessions_.pop_back();
        }
    }
    if (!session) session = std::make_unique<http::Session>(options_);
    http::Response answer;
    retry(patience, [&] { answer = session->send(request); });
    const std::lock_guard lock(mutex_);
    if (sessions_.size() < kMaxIdle) sessions_.push_back(std::move(session));
    return answer;
}

http::Response Client::send_patiently(const http::Request& request, std::chrono::milliseconds longest) {
    http::Options patient = options_;
    patient.answer = longest;
    http::Session session(patient);
    http::Response answer;
    retry(Patience::some, [&] { answer = session.send(request); });
    return answer;
}

void Client::check() {
    (void)list_page("", "", 1, Patience::little);
}

std::optional<uint64_t> Client::size(const std::string& key) {
    const http::Request request{.method = "HEAD", .url = url(key)};
    const http::Response answer = send(request);
    if (answer.status == http::kNotFound) return std::nullopt;
    if (answer.status != http::kOk) refuse(request, answer);
    try {
        return std::stoull(answer.header("content-length"));
    } catch (const std::exception&) {
        throw base::Error("HEAD " + request.url + ": the answer has no length");
    }
}

void Client::put(const std::string& key, int fd, uint64_t length, const std::string& sha256,
                 const std::function<uint64_t(uint64_t position)>& growing, Patience patience) {
    http::Request request{.method = "PUT",
                          .url = url(key),
                          .headers = {"Content-Type: application/octet-stream"},
                          .file = http::Part{.name = {}, .text = {}, .fd = fd, .offset = 0, .length = length},
                          .growing = growing,
                          .file_sha256 = sha256};
    if (compares_checksums_) {
        const std::string checksum = base64(base::from_hex(sha256, kSha256Bytes));
        http::Request quicker = request;
        quicker.headers.push_back(std::string(kChecksum) + ": " + checksum);
        quicker.file_sha256 = "UNSIGNED-PAYLOAD";
        const http::Response answer = send(quicker, patience);
        if (answer.success() && answer.header(kChecksum) == checksum) return;
    }
    const http::Response answer = send(request, patience);
    if (!answer.success()) refuse(request, answer);
    compares_checksums_ = false;
}

void Client::remove(const std::string& key) {
    const http::Request request{.method = "DELETE", .url = url(key)};
    const http::Response answer = send(request);
    if (!answer.success() && answer.status != http::kNotFound) refuse(request, answer);
}

// The parameters are in the order of their names, as a signature wants them.
Listing Client::list_page(const std::string& prefix, const std::string& token, unsigned limit, Patience patience) {
    const std::string after = token.empty() ? "" : "continuation-token=" + http::percent_encode(token) + "&";
    const http::Request request{.url = settings_.bucket + "/?" + after + "list-type=2&max-keys=" + std::to_string(limit) +
                                       "&prefix=" + http::percent_encode(settings_.prefix + prefix)};
    const http::Response answer = send(request, patience);
    if (answer.status != http::kOk) refuse(request, answer);
    return base::with_context("GET " + request.url, [&] { return parse_listing(answer.body); });
}

void Client::list(const std::string& prefix, const std::function<void(const Object&)>& each) {
    std::string token;
    do {
        const Listing page = list_page(prefix, token, kPage, Patience::much);
        for (const Object& object : page.objects) {
            if (!object.key.starts_with(settings_.prefix)) throw base::Error(settings_.name + ": the store lists what was not asked for");
            each({.key = object.key.substr(settings_.prefix.size()), .size = object.size});
        }
        if (!page.next.empty() && page.next == token) throw base::Error(settings_.name + ": the store's list does not end");
        token = page.next;
    } while (!token.empty());
}

std::vector<PartialUpload> Client::partial_uploads(const std::string& prefix) {
    const http::Request request{.url = settings_.bucket + "/?prefix=" + http::percent_encode(settings_.prefix + prefix) + "&uploads="};
    const http::Response answer = send(request);
    if (answer.status != http::kOk) refuse(request, answer);
    std::vector<PartialUpload> uploads = base::with_context("GET " + request.url, [&] { return parse_uploads(answer.body); });
    for (PartialUpload& upload : uploads) {
        if (!upload.key.starts_with(settings_.prefix + prefix))
            throw base::Error(settings_.name + ": the store lists what was not asked for");
        upload.key.erase(0, settings_.prefix.size());
    }
    return uploads;
}

void Client::abort(const PartialUpload& upload) {
    const http::Request request{.method = "DELETE", .url = url(upload.key) + "?uploadId=" + http::percent_encode(upload.id)};
    const http::Response answer = send(request);
    if (!answer.success() && answer.status != http::kNotFound) refuse(request, answer);
}

std::string Client::presigned(const std::string& key, std::time_t now, std::chrono::seconds lifetime) const {
    return presign_get(settings_.public_bucket + "/" + settings_.prefix + key, settings_.keys, now, lifetime);
}

std::unique_ptr<http::Stream> Client::take_stream() {
    const std::lock_guard lock(mutex_);
    if (streams_.empty()) return std::make_unique<http::Stream>(options_);
    std::unique_ptr<http::Stream> stream = std::move(streams_.back());
    streams_.pop_back();
    return stream;
}

void Client::give_back(std::unique_ptr<http::Stream> stream) {
    const std::lock_guard lock(mutex_);
    if (streams_.size() < kMaxIdle) streams_.push_back(std::move(stream));
}

uint64_t Client::park(std::unique_ptr<http::Stream> stream) {
    std::unique_ptr<http::Stream> gone;  // ends without the lock
    const std::lock_guard lock(mutex_);
    parked_.emplace(++last_parked_, std::move(stream));
    if (parked_.size() > kMaxParked) {
        gone = std::move(parked_.begin()->second);
        parked_.erase(parked_.begin());
    }
    return last_parked_;
}

std::unique_ptr<http::Stream> Client::take_parked(uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = parked_.find(number);
    if (found == parked_.end()) return nullptr;
    std::unique_ptr<http::Stream> stream = std::move(found->second);
    parked_.erase(found);
    return stream;
}

}  // namespace s3
