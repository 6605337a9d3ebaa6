#pragma once

#include <chrono>
#include <functional>

#include "http/client.h"

namespace http {

// Runs f again after a TransientError, `options.tries` times in all. The pause before a try is jittered and doubles from one to the next;
// where the server named one by Retry-After, it is no shorter than that. Throws the last TransientError; at once where Retry-After is over
// `options.longest_retry_after`, or after `options.last_try`.
void retry(const Options& options, const std::function<void()>& f);

// A random part of `pause`, evenly between its half and the whole, so that the clients of a server that failed do not return all at once.
std::chrono::milliseconds jittered(std::chrono::milliseconds pause);

}  // namespace http
