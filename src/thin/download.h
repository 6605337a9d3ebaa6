#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "http/client.h"
#include "thin/policy.h"

namespace thin {

// A connection for parts of images; for one thread. Redirects are followed here, so that each is judged by the policy.
class Download {
public:
    // `rate`: bytes per second; 0: any.
    Download(const Policy& policy, uint64_t rate);

    // Reads `size` bytes from `first` on of a file of `total` bytes, and gives them to `take` as they come. Throws http::TransientError,
    // base::Error: the policy forbids it, the server does not serve ranges, sends another range, fewer or more bytes. `check` is called
    // once a second at least. What the two throw ends the request.
    void read(const std::string& url, uint64_t first, uint64_t size, uint64_t total,
              const std::function<void(std::span<const std::byte>)>& take, const std::function<void()>& check);

private:
    void judge(const sockaddr& address) const;

    Policy policy_;
    uint64_t rate_;
    bool may_be_private_ = false;  // where the current request goes
    std::string target_;           // the current URL, for messages
    http::Session session_;
};

}  // namespace thin
