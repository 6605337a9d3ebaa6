#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace registry {

// A failure that may pass by itself: no connection, a connection that broke or stalled, status 408, 429 or 5xx.
class TransientError : public base::Error {
    using base::Error::Error;
};

// How a server is dealt with. All that a server sends is also bounded in bytes: 64 KiB of headers, 1 MiB of an answer that is not streamed.
struct HttpOptions {
    std::chrono::milliseconds connect{15000};
    std::chrono::milliseconds answer{60000};  // an answer that is not streamed and sends no file, as a whole
    std::chrono::seconds stall{60};           // less than 1 KiB/s for so long ends a transfer
    int tries = 6;                            // of a request that fails by a TransientError
    std::chrono::milliseconds pause{500};     // before the second try; doubled up to 8 s
    std::function<void(const std::string&)> retrying = [](const std::string&) {};  // takes the reason before a pause; from any thread
};

// One part of a multipart body: a text, or, with `fd`, `length` bytes of that file (the caller's) from `offset`.
struct HttpPart {
    std::string name;
    std::string text;
    std::string file_name = {};  // of a file part, whose type is application/octet-stream
    int fd = -1;
    uint64_t offset = 0;
    uint64_t length = 0;
};

struct HttpAnswer {
    long status = 0;
    std::string url;                             // after redirects
    std::map<std::string, std::string> headers;  // names in lower case, the last of several
    std::string body;                            // empty where it was streamed

    bool success() const { return status >= 200 && status < 300; }
};

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::string> headers = {};  // "Name: value"
    std::string body = {};                  // of a POST without parts
    std::vector<HttpPart> parts = {};
    // Takes the body of a success (2xx) as it comes; may throw. Without it the body is in the answer.
    std::function<void(const HttpAnswer& head, std::span<const std::byte> data)> sink = {};
    // Called now and then with the bytes of the body sent so far; may throw, which ends the request.
    std::function<void(uint64_t sent)> sent = {};
};

// A connection that is kept between requests; one thread at a time. GET and HEAD follow at most 10 redirects, to http and https only; other
// requests none, since they carry tokens. A proxy comes from the usual environment, certificates from the system or from SSL_CERT_FILE.
class HttpSession {
public:
    explicit HttpSession(const HttpOptions& options = {});
    ~HttpSession();
    HttpSession(HttpSession&&) noexcept;
    HttpSession& operator=(HttpSession&&) = delete;

    // Returns any answer but those of TransientError. Throws base::Error that names the URL, and what `sink` and `sent` throw.
    HttpAnswer send(const HttpRequest& request);

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Runs f again after a TransientError, as the options say.
void retry(const HttpOptions& options, const std::function<void()>& f);

// With %XX for what is not a letter, a digit or one of -._~
std::string url_encode(std::string_view text);

}  // namespace registry
