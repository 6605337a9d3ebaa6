#include "registry/server/webhooks.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/untrusted_text.h"
#include "http/client.h"
#include "http/url.h"
#include "registry/server/tokens.h"

namespace registry::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLongestPause{60'000};
constexpr std::chrono::seconds kConnect{5};
constexpr std::chrono::seconds kAnswer{10};
constexpr std::chrono::seconds kBetweenLines{10};  // of the log about one receiver
constexpr size_t kLongestReason = 200;

// For the log: paths of such URLs may be secret.
std::string place_of(const std::string& url) {
    const http::UrlParts parts = http::parse_url(url);
    const std::string place = fmt::format("{}://{}", parts.scheme, parts.host);
    return parts.port == 0 ? place : fmt::format("{}:{}", place, parts.port);
}

}  // namespace

struct Webhooks::Delivery {
    std::string event, id, body;
};

Webhooks::Delivery Webhooks::delivery_of(const Event& event) {
    // The same at each try, by which a receiver knows one that it has had already.
    const std::string id = token_hash(new_token()).substr(0, 32);
    nlohmann::ordered_json json = {{"time", event_time()}, {"event", event.name}, {"id", id}};
    json.update(event.details);
    json.erase("address");  // where a client is, is for the audit log alone
    return {.event = event.name, .id = id, .body = event_line(json)};
}

class Webhooks::Receiver {
public:
    Receiver(const WebhookOptions& options, const std::string& url)
        : options_(options),
          url_(url),
          place_(place_of(url)),
          session_({.connect = kConnect, .answer = kAnswer, .stall = std::chrono::seconds(0)}),
          thread_([this] { run(); }) {}

    void add(const Delivery& delivery) {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= kMostWaiting || stopping_) return drop(stopping_ ? "the registry ends" : "too many wait");
        waiting_.push_back(delivery);
        changed_.notify_one();
    }

    WebhookCounts counts() {
        const std::lock_guard lock(mutex_);
        return {.delivered = delivered_, .dropped = dropped_, .waiting = waiting_.size()};
    }

    void stop(Clock::time_point end) {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        end_ = end.time_since_epoch().count();
        changed_.notify_one();
    }
    void join() { thread_.join(); }

private:
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
            if (waiting_.empty() || is_over()) break;
            const Delivery delivery = waiting_.front();
            const std::optional<std::string> failure = deliver(lock, delivery);
            waiting_.pop_front();
            if (failure) {
                drop(*failure);
            } else {
                delivered_++;
            }
        }
        for (; !waiting_.empty(); waiting_.pop_front())
            drop("the registry ends");
        if (unlogged_ > 0) spdlog::error("webhook {}: {} more events were dropped", place_, unlogged_);
    }

    bool is_over() const { return Clock::now().time_since_epoch().count() >= end_; }

    // Why it could not be delivered, if so. The lock is released while it sends or waits.
    std::optional<std::string> deliver(std::unique_lock<std::mutex>& lock, const Delivery& delivery) {
        std::chrono::milliseconds pause = options_.pause;
        std::string reason;
        for (unsigned attempt = 1;; attempt++, pause = std::min(2 * pause, kLongestPause)) {
            lock.unlock();
            const bool again = send(delivery, reason);
            lock.lock();
            if (reason.empty()) return std::nullopt;
            if (!again || attempt >= options_.tries) return reason;
            if (attempt == 1) spdlog::warn("webhook {}: {}; trying again", place_, reason);
            (void)changed_.wait_for(lock, pause, [this] { return stopping_; });
            if (is_over()) return reason;
            // While we end, once more: what failed before may work by now.
            if (stopping_) attempt = std::max(attempt, options_.tries - 1);
        }
    }

    // Sets `reason`, empty where it was delivered; returns whether another try may help.
    bool send(const Delivery& delivery, std::string& reason) {
        reason.clear();
        try {
            const http::Response answer =
                session_.send({.method = "POST",
                               .url = url_,
                               .headers = {"Content-Type: application/json", fmt::format("X-Gvmkit-Event: {}", delivery.event),
                                           fmt::format("X-Gvmkit-Delivery: {}", delivery.id),
                                           fmt::format("X-Gvmkit-Signature: {}", webhook_signature(options_.secret, delivery.body))},
                               .body = delivery.body,
                               .follow = false,
                               .sent = [this](uint64_t) {
                                   if (is_over()) throw base::Error("the registry ends");
                               }});
            if (!answer.success()) reason = fmt::format("it answers with status {}", answer.status);
            return false;
        } catch (const http::TransientError& e) {
            reason = without_url(e.what());
            return true;
        } catch (const std::exception& e) {
            reason = without_url(e.what());
            return false;
        }
    }

    std::string without_url(std::string text) const {
        const size_t at = text.find(url_);
        if (at != std::string::npos) text.replace(at, url_.size(), place_);
        return base::printable(text, kLongestReason);
    }

    void drop(const std::string& reason) {
        dropped_++;
        unlogged_++;
        if (Clock::now() - logged_ < kBetweenLines) return;
        spdlog::error("webhook {}: {} dropped: {}", place_,
                      unlogged_ == 1 ? std::string("an event is") : fmt::format("{} events are", unlogged_), reason);
        unlogged_ = 0;
        logged_ = Clock::now();
    }

    const WebhookOptions options_;
    const std::string url_, place_;
    http::Session session_;  // the thread's
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Delivery> waiting_;  // the first one is being sent
    bool stopping_ = false;
    std::atomic<Clock::rep> end_ = Clock::time_point::max().time_since_epoch().count();  // when we give up
    uint64_t delivered_ = 0, dropped_ = 0;
    uint64_t unlogged_ = 0;  // of the dropped ones
    Clock::time_point logged_ = Clock::now() - kBetweenLines;
    std::thread thread_;
};

Webhooks::Webhooks(const WebhookOptions& options) {
    for (const std::string& url : options.urls) {
        const std::string scheme = http::parse_url(url).scheme;
        if (scheme != "http" && scheme != "https")
            throw base::Error("bad --webhook: its URL begins neither with http:// nor with https://");
    }
    for (const std::string& url : options.urls)
        receivers_.push_back(std::make_unique<Receiver>(options, url));
}

Webhooks::~Webhooks() {
    stop(std::chrono::milliseconds(0));
}

void Webhooks::tell(const Event& event) {
    constexpr std::array kSent = {"push", "tag", "delete"};
    if (std::find(kSent.begin(), kSent.end(), event.name) == kSent.end()) return;
    const Delivery delivery = delivery_of(event);
    for (const auto& receiver : receivers_)
        receiver->add(delivery);
}

WebhookCounts Webhooks::counts() const {
    WebhookCounts sum;
    for (const auto& receiver : receivers_) {
        const WebhookCounts counts = receiver->counts();
        sum.delivered += counts.delivered;
        sum.dropped += counts.dropped;
        sum.waiting += counts.waiting;
    }
    return sum;
}

void Webhooks::stop(std::chrono::milliseconds grace) {
    for (const auto& receiver : receivers_)
        receiver->stop(Clock::now() + grace);
    for (const auto& receiver : receivers_)
        receiver->join();
    receivers_.clear();
}

std::string webhook_signature(const std::string& secret, const std::string& body) {
    return "sha256=" + base::hmac_sha256_hex(secret, body);
}

}  // namespace registry::server
