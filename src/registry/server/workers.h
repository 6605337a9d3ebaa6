#pragma once

#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <functional>
#include <mutex>

namespace registry::server {

// Threads that run jobs, which begin in the order in which they were posted. An exception that leaves a job ends the program. They take no
// signal: one that a thread has not blocked ends the program, whatever the others do.
class Workers {
public:
    explicit Workers(unsigned threads) : Workers(threads, NoSignals()) {}
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // Returns false after stop: the job will not run.
    bool post(std::function<void()> job);

    // Waits for the running jobs; drops the others, or runs them with `drain`.
    void stop(bool drain = false);

private:
    // Of this thread, and of those that it starts meanwhile.
    class NoSignals {
    public:
        NoSignals();
        ~NoSignals();
        NoSignals(const NoSignals&) = delete;
        NoSignals& operator=(const NoSignals&) = delete;

    private:
        sigset_t before_{};
    };

    Workers(unsigned threads, const NoSignals&) : pool_(threads) {}

    std::mutex mutex_;
    bool stopping_ = false;
    boost::asio::thread_pool pool_;
};

}  // namespace registry::server
