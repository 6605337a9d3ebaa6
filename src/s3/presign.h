#pragma once

#include <chrono>
#include <ctime>
#include <string>

#include "http/client.h"

namespace s3 {

// A URL by which anybody may GET an object, until `lifetime` after `now`: AWS Signature Version 4 in the query, over the host and nothing
// else of a request's headers, so a client may add a Range. `url` is the object's, without a query.
std::string presign_get(const std::string& url, const http::AwsKeys& keys, std::time_t now, std::chrono::seconds lifetime);

}  // namespace s3
