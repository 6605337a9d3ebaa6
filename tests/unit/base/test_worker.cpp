#include "base/worker.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

namespace base {
namespace {
namespace asio = boost::asio;

asio::awaitable<void> three(Worker& worker, std::vector<int>& seen, std::thread::id& where) {
    for (int i = 0; i < 3; i++) {
        const std::function<void()> work = [&seen, &where, i] {
            seen.push_back(i);
            where = std::this_thread::get_id();
        };
        co_await worker.run(work);
    }
    const std::function<void()> failing = [] { throw std::runtime_error("why"); };
    co_await worker.run(failing);
}

TEST(Worker, RunsInOrderElsewhereAndPassesFailuresOn) {
    asio::io_context io;
    Worker worker(io.get_executor());
    std::vector<int> seen;
    std::thread::id where;
    std::string failure;
    asio::co_spawn(io, three(worker, seen, where), [&failure](const std::exception_ptr& error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const std::runtime_error& e) {
            failure = e.what();
        }
    });
    io.run();
    EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2));
    EXPECT_NE(where, std::this_thread::get_id());
    EXPECT_EQ(failure, "why");
}

TEST(Worker, EndsWithAllThatWasRequested) {
    asio::io_context io;
    int ran = 0;
    bool told = false;
    {
        Worker worker(io.get_executor());
        const std::function<void()> work = [&ran] { ran++; };
        asio::co_spawn(io, worker.run(work), [&told](const std::exception_ptr&) { told = true; });
        io.poll();
    }
    EXPECT_EQ(ran, 1);
    io.restart();
    io.run();
    EXPECT_TRUE(told);
}

}  // namespace
}  // namespace base
