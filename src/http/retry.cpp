#include "http/retry.h"

#include <algorithm>
#include <random>
#include <thread>

namespace http {

std::chrono::milliseconds jittered(std::chrono::milliseconds pause) {
    thread_local std::minstd_rand generator(std::random_device{}());
    std::uniform_int_distribution<std::chrono::milliseconds::rep> part(pause.count() / 2, pause.count());
    return std::chrono::milliseconds(part(generator));
}

void retry(const Options& options, const std::function<void()>& f) {
    constexpr std::chrono::milliseconds kLongest{8000};
    std::chrono::milliseconds pause = options.pause;
    std::chrono::seconds asked{};
    const auto begin = std::chrono::steady_clock::now();
    for (int attempt = 1;; attempt++) {
        try {
            f();
            return;
        } catch (const TransientError& e) {
            asked = e.retry_after();
            const bool late = options.last_try.count() > 0 && std::chrono::steady_clock::now() - begin > options.last_try;
            if (attempt >= options.tries || asked > options.longest_retry_after || late) throw;
            options.retrying(e.what());
        }
        std::this_thread::sleep_for(asked + jittered(pause));
        pause = std::min(2 * pause, kLongest);
    }
}

}  // namespace http
