#pragma once

#include <cstddef>
#include <functional>

namespace registry::server {

// Calls f(0) to f(count - 1) by that many threads, this one among them. After an exception it begins no more, and throws it in the end.
void for_each_index(size_t count, size_t threads, const std::function<void(size_t)>& f);

}  // namespace registry::server
