#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "registry/server/event.h"

namespace registry::server {

struct WebhookOptions {
    std::vector<std::string> urls;
    std::string secret;  // with which the bodies are signed
    // Of a delivery that fails by something that may pass:
    unsigned tries = 8;
    std::chrono::milliseconds pause{1000};  // before the second try; doubled up to a minute
};

// What has become of the events, since the start.
struct WebhookCounts {
    uint64_t delivered = 0;
    uint64_t dropped = 0;
    uint64_t waiting = 0;  // now
};

// Sends the events push, tag and delete to other programs (docs/spec/registry.md), to each URL from a thread of its own and in order, so
// that one that does not answer delays none of the others. What does not fit into a URL's queue, or could not be delivered, is counted and
// logged.
class Webhooks {
public:
    static constexpr size_t kMostWaiting = 1000;  // for each URL

    // Throws base::Error for a bad URL.
    explicit Webhooks(const WebhookOptions& options);
    ~Webhooks();
    Webhooks(const Webhooks&) = delete;
    Webhooks& operator=(const Webhooks&) = delete;

    void tell(const Event& event);
    WebhookCounts counts() const;

    // After the last event. Tries to deliver what waits, for at most so long; the rest is dropped.
    void stop(std::chrono::milliseconds grace);

private:
    struct Delivery;
    class Receiver;
    static Delivery delivery_of(const Event& event);

    std::vector<std::unique_ptr<Receiver>> receivers_;
};

// The header's value: "sha256=" and the HMAC-SHA256 of the body, in hex.
std::string webhook_signature(const std::string& secret, const std::string& body);

}  // namespace registry::server
