#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace base {

// A timeline of this process, for finding out where the time goes. Costs nothing until it is turned on. For one thread.
class Timings {
public:
    struct Step {
        std::string what;
        double at;  // seconds since it was turned on
    };

    void turn_on();
    void turn_off() { began_.reset(); }
    void mark(const char* what);  // what has just been done
    bool on() const { return began_.has_value(); }

    double began() const;  // in seconds of CLOCK_MONOTONIC, which all processes share; on() only
    const std::vector<Step>& steps() const { return steps_; }

private:
    std::optional<std::chrono::steady_clock::time_point> began_;
    std::vector<Step> steps_;
};

// The process's only instance.
Timings& timings();

}  // namespace base
