#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

struct sockaddr;

namespace http {

// A failure that may pass by itself: no connection, a connection that broke or stalled, status 408, 429 or 5xx.
class TransientError : public base::Error {
public:
    explicit TransientError(const std::string& message, std::chrono::seconds retry_after = {})
        : base::Error(message), retry_after_(retry_after) {}
    // The server's Retry-After, 0 without one.
    std::chrono::seconds retry_after() const { return retry_after_; }

private:
    std::chrono::seconds retry_after_;
};

// Keys for an S3 store, which every request is signed with (AWS Signature Version 4).
struct AwsKeys {
    std::string key, secret;
    std::string session_token = {};  // of keys for a limited time
    std::string region;
};

// How to deal with a server. Whatever a server sends has limits: 64 KiB of headers, 1 MiB of a body that is not streamed.
struct Options {
    std::chrono::milliseconds connect{15000};
    std::chrono::milliseconds answer{60000};  // for a whole response that is not streamed, to a request that sends no file
    std::chrono::seconds stall{60};           // a transfer ends after so long below 1 KiB/s; 0: it never does
    std::string unix_socket = {};             // the path of a socket to connect to instead of the URL's host; no proxy then
    // Called with the address of each connection before it is made; throws to refuse it. Then no proxy is used, since its address would be
    // judged in place of the server's.
    std::function<void(const sockaddr& address)> connecting = {};
    std::optional<AwsKeys> aws = {};  // then no redirect is followed
    // For retry.h:
    int tries = 6;                                                                 // of a request that fails by a TransientError
    std::chrono::milliseconds pause{500};                                          // before the second try; doubled up to 8 s
    std::chrono::milliseconds last_try{0};                                         // after which none begins; 0: no limit
    std::chrono::seconds longest_retry_after{120};                                 // retry gives up where a server asks for more
    std::function<void(const std::string&)> retrying = [](const std::string&) {};  // takes the reason before a pause; from any thread
};

// One part of a multipart body: a text, or, with `fd`, `length` bytes of that file (the caller's) from `offset`.
struct Part {
    std::string name;
    std::string text;
    std::string file_name = {};  // of a file part, whose type is application/octet-stream
    int fd = -1;
    uint64_t offset = 0;
    uint64_t length = 0;
};

struct Response {
    long status = 0;                             // names are in http/status.h
    std::string url;                             // after redirects
    std::map<std::string, std::string> headers;  // names in lower case, the last of several
    std::string body;                            // empty where it was streamed

    bool success() const { return status >= 200 && status < 300; }
    // A header's value, by its name in lower case; empty where it is not there.
    std::string header(const std::string& name) const;
};

struct Request {
    std::string method = "GET";
    std::string url;
    std::vector<std::string> headers = {};  // "Name: value"
    std::string body = {};                  // of a POST without parts
    std::vector<Part> parts = {};
    std::optional<Part> file = {};  // the body of a PUT: its fd, offset and length
    // Of a `file` that is still being written: waits until it has more than `position` bytes, and returns how many; may throw.
    std::function<uint64_t(uint64_t position)> growing = {};
    std::string file_sha256 = {};  // the body's, in hex, for a signature; the store compares it
    bool follow = true;            // redirects, of a GET or HEAD
    bool any_status = false;       // return what send would throw as a TransientError for its status
    // Takes the body of a success (2xx) as it comes; may throw. Without it the body is in the response.
    std::function<void(const Response& head, std::span<const std::byte> data)> sink = {};
    // For stream.h: whether the sink takes nothing now.
    std::function<bool()> full = {};
    // Called now and then with the bytes of the body sent so far; may throw, which ends the request.
    std::function<void(uint64_t sent)> sent = {};
};

// A connection that is kept between requests; one thread at a time. GET and HEAD follow at most 10 redirects, to http and https only; other
// requests none, since they carry tokens. A proxy comes from the usual environment, certificates from the system or from SSL_CERT_FILE.
class Session {
public:
    explicit Session(const Options& options = {});
    ~Session();
    Session(Session&&) noexcept;
    Session& operator=(Session&&) = delete;

    // Throws TransientError, base::Error that names the URL, and what `sink` and `sent` throw. Any other status is the caller's to judge.
    Response send(const Request& request);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace http
