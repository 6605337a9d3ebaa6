#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace registry::server {

// Threads that do one job after another, in the order in which they were given. What a job throws ends the program.
class Workers {
public:
    explicit Workers(unsigned threads);
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // Returns false after stop: it will not be done.
    bool post(std::function<void()> job);

    // Waits for the jobs under way and drops or, with `drain`, does the others.
    void stop(bool drain = false);

private:
    void run();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace registry::server
