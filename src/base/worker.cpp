#include "base/worker.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "base/event.h"

namespace base {
namespace asio = boost::asio;

asio::awaitable<void> Worker::run(std::function<void()> work) {
    struct Outcome {
        explicit Outcome(const asio::any_io_executor& executor) : finished(executor) {}

        bool done = false;
        std::exception_ptr failure;
        Event finished;
    };
    const auto outcome = std::make_shared<Outcome>(executor_);
    asio::post(thread_, [executor = executor_, work = std::move(work), outcome]() mutable {
        std::exception_ptr failure;
        try {
            work();
        } catch (...) {
            failure = std::current_exception();
        }
        work = nullptr;
        asio::post(executor, [outcome, failure] {
            outcome->failure = failure;
            outcome->done = true;
            outcome->finished.notify();
        });
    });
    while (!outcome->done)
        co_await outcome->finished.wait();
    if (outcome->failure) std::rethrow_exception(outcome->failure);
}

}  // namespace base
