#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace base {

// Where a conversion's time goes, summed over all threads (gvmkit-build --times).
enum class Work { read, merge, hash, compress, write };
constexpr std::array kWorkNames = {"read", "merge", "hash", "compress", "write"};

inline std::array<std::atomic<int64_t>, kWorkNames.size()> work_nanoseconds{};

// Adds the time until its destruction.
class Timed {
public:
    explicit Timed(Work work) : work_(work) {}
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;
    ~Timed() {
        const auto time = std::chrono::steady_clock::now() - start_;
        work_nanoseconds[static_cast<size_t>(work_)] += std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    }

private:
    Work work_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace base
