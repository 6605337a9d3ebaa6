#pragma once

#include <string>

#include "base/error.h"
#include "http/status.h"

namespace registry::server {

// After which a client may try again where store or data base do not answer.
inline constexpr unsigned kRetryAfterSeconds = 5;

// A request that is answered with an error; the message is the answer's text.
class HttpError : public base::Error {
public:
    // `retry_after`: the seconds after which the client may try again; 0: it is not told.
    HttpError(unsigned status, const std::string& message, unsigned retry_after = 0)
        : base::Error(message), status_(status), retry_after_(retry_after) {}
    unsigned status() const { return status_; }
    unsigned retry_after() const { return retry_after_; }

private:
    unsigned status_;
    unsigned retry_after_;
};

}  // namespace registry::server
