#pragma once

#include <string>

#include "base/error.h"

namespace registry::server {

// HTTP statuses that the registry answers with.
inline constexpr unsigned kPartialContent = 206;
inline constexpr unsigned kFound = 302;
inline constexpr unsigned kBadRequest = 400;
inline constexpr unsigned kUnauthorized = 401;
inline constexpr unsigned kForbidden = 403;
inline constexpr unsigned kNotFound = 404;
inline constexpr unsigned kNotAllowed = 405;
inline constexpr unsigned kConflict = 409;
inline constexpr unsigned kTooLarge = 413;
inline constexpr unsigned kNotSatisfiable = 416;
inline constexpr unsigned kBlocked = 451;  // RFC 7725
inline constexpr unsigned kServerError = 500;
inline constexpr unsigned kNoSpace = 507;  // RFC 4918

// A request that is answered with an error; the message is the answer's text.
class HttpError : public base::Error {
public:
    HttpError(unsigned status, const std::string& message) : base::Error(message), status_(status) {}
    unsigned status() const { return status_; }

private:
    unsigned status_;
};

}  // namespace registry::server
