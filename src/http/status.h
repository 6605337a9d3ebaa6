#pragma once

namespace http {

// The statuses that gvmkit gives or acts on (RFC 9110 where no other is named).
inline constexpr unsigned kOk = 200;
inline constexpr unsigned kNoContent = 204;
inline constexpr unsigned kPartialContent = 206;
inline constexpr unsigned kFound = 302;
inline constexpr unsigned kSeeOther = 303;
inline constexpr unsigned kBadRequest = 400;
inline constexpr unsigned kUnauthorized = 401;
inline constexpr unsigned kForbidden = 403;
inline constexpr unsigned kNotFound = 404;
inline constexpr unsigned kNotAllowed = 405;
inline constexpr unsigned kRequestTimeout = 408;
inline constexpr unsigned kConflict = 409;
inline constexpr unsigned kTooLarge = 413;
inline constexpr unsigned kNotSatisfiable = 416;
inline constexpr unsigned kTooManyRequests = 429;  // RFC 6585
inline constexpr unsigned kBlocked = 451;          // RFC 7725
inline constexpr unsigned kServerError = 500;
inline constexpr unsigned kBadGateway = 502;
inline constexpr unsigned kUnavailable = 503;
inline constexpr unsigned kNoSpace = 507;  // RFC 4918

}  // namespace http
