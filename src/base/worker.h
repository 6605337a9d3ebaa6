#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>

namespace base {

// One thread for what would hold up an io_context. The destructor waits for everything that was requested.
class Worker {
public:
    explicit Worker(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
    ~Worker() { join(); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Runs it on the thread, after everything requested before, and throws what it throws. It has to keep alive what it uses: the coroutine
    // that waits may be destroyed before. Give it a name, since GCC 12 destroys a temporary twice in an argument of co_await.
    boost::asio::awaitable<void> run(std::function<void()> work);

    // Waits for everything that was requested; nothing may be requested afterwards.
    void join() { thread_.join(); }

private:
    boost::asio::any_io_executor executor_;
    boost::asio::thread_pool thread_{1};
};

}  // namespace base
