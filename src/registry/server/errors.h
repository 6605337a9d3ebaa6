#pragma once

#include <string>

#include "base/error.h"
#include "http/status.h"

namespace registry::server {

// A request that is answered with an error; the message is the answer's text.
class HttpError : public base::Error {
public:
    HttpError(unsigned status, const std::string& message) : base::Error(message), status_(status) {}
    unsigned status() const { return status_; }

private:
    unsigned status_;
};

}  // namespace registry::server
