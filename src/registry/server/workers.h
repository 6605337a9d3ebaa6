#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <mutex>

namespace registry::server {

// Threads that run jobs, which begin in the order in which they were posted. An exception that leaves a job ends the program.
class Workers {
public:
    explicit Workers(unsigned threads) : pool_(threads) {}
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // Returns false after stop: the job will not run.
    bool post(std::function<void()> job);

    // Waits for the running jobs; drops the others, or runs them with `drain`.
    void stop(bool drain = false);

private:
    std::mutex mutex_;
    bool stopping_ = false;
    boost::asio::thread_pool pool_;
};

}  // namespace registry::server
