#include "thin/download.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "http/status.h"
#include "http/url.h"

namespace thin {
namespace {

using namespace std::chrono_literals;

constexpr int kMostRedirects = 5;
constexpr int kFirstRedirect = 300;
constexpr int kLastRedirect = 399;

http::Options options_for(std::function<void(const sockaddr&)> judge) {
    http::Options options;
    options.connect = 10s;
    options.stall = 20s;
    options.connecting = std::move(judge);
    return options;
}

std::string range_text(uint64_t first, uint64_t size) {
    return std::to_string(first) + "-" + std::to_string(first + size - 1);
}

// Takes a body that must have exactly the bytes that were asked for.
class RangeBody {
public:
    RangeBody(uint64_t first, uint64_t size, uint64_t total, uint64_t rate, const std::function<void(std::span<const std::byte>)>& take)
        : expected_("bytes " + range_text(first, size) + "/" + std::to_string(total)), left_(size), rate_(rate), take_(take) {}

    void operator()(const http::Response& head, std::span<const std::byte> data) {
        if (head.status != static_cast<long>(http::kPartialContent))
            throw base::Error("it answered with status " + std::to_string(head.status) + ": it does not serve ranges");
        if (const std::string range = head.header("content-range"); range != expected_)
            throw base::Error("it sent the range \"" + range + "\", not \"" + expected_ + "\"");
        if (data.size() > left_) throw base::Error("it sent more than was asked for");
        left_ -= data.size();
        sent_ += data.size();
        take_(data);
        if (rate_ > 0)
            std::this_thread::sleep_until(begin_ + std::chrono::duration<double>(static_cast<double>(sent_) / static_cast<double>(rate_)));
    }
    bool complete() const { return left_ == 0; }

private:
    std::string expected_;
    uint64_t left_;
    uint64_t sent_ = 0;
    uint64_t rate_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    const std::function<void(std::span<const std::byte>)>& take_;
};

}  // namespace

Download::Download(const Policy& policy, uint64_t rate)
    : policy_(policy), rate_(rate), session_(options_for([this](const sockaddr& address) { judge(address); })) {}

void Download::judge(const sockaddr& address) const {
    if (may_be_private_ || is_public(address)) return;
    throw base::Error("its address is not public, and this provider has not allowed it (--thin-allow)");
}

void Download::read(const std::string& url, uint64_t first, uint64_t size, uint64_t total,
                    const std::function<void(std::span<const std::byte>)>& take, const std::function<void()>& check) {
    target_ = url;
    for (int redirects = 0; redirects <= kMostRedirects; redirects++) {
        may_be_private_ = is_allowed(policy_, target_);
        if (policy_.listed_only && !may_be_private_) throw base::Error(target_ + ": this provider has not allowed its host (--thin-allow)");
        RangeBody body(first, size, total, rate_, take);
        http::Request request;
        request.url = target_;
        request.headers = {"Range: bytes=" + range_text(first, size), "Accept-Encoding: identity"};
        request.follow = false;
        request.sink = std::ref(body);
        request.sent = [&check](uint64_t) { check(); };
        const http::Response answer = session_.send(request);
        if (answer.status >= kFirstRedirect && answer.status <= kLastRedirect) {
            target_ = http::resolve_url(target_, answer.header("location"));
            continue;
        }
        if (!answer.success()) throw base::Error(target_ + ": it answered with status " + std::to_string(answer.status));
        if (!body.complete()) throw http::TransientError(target_ + ": it sent less than was asked for");
        return;
    }
    throw base::Error(url + ": more than " + std::to_string(kMostRedirects) + " redirects");
}

}  // namespace thin
