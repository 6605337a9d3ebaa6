#include "registry/server/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <future>
#include <vector>

namespace registry::server {

void for_each_index(size_t count, size_t threads, const std::function<void(size_t)>& f) {
    std::atomic<size_t> next = 0;
    const auto work = [&] {
        try {
            for (size_t i = next++; i < count; i = next++)
                f(i);
        } catch (...) {
            next = count;
            throw;
        }
    };
    std::vector<std::future<void>> others;
    for (size_t i = 1; i < std::min(threads, count); i++)
        others.push_back(std::async(std::launch::async, work));
    std::exception_ptr failure;
    const auto keep = [&failure](const auto& run) {
        try {
            run();
        } catch (...) {
            failure = std::current_exception();
        }
    };
    keep(work);
    for (std::future<void>& other : others)
        keep([&other] { other.get(); });
    if (failure) std::rethrow_exception(failure);
}

}  // namespace registry::server
