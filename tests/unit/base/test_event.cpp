#include "base/event.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;

class Event : public testing::Test {
protected:
    asio::io_context io_;
    base::Event event_{io_.get_executor()};
    int woken_ = 0;

    awaitable<void> wait() {
        co_await event_.wait();
        woken_++;
    }
    awaitable<void> wait(std::chrono::milliseconds limit) {
        co_await event_.wait(limit);
        woken_++;
    }
};

TEST_F(Event, WakesAllWhoWait) {
    asio::co_spawn(io_, wait(), asio::detached);
    asio::co_spawn(io_, wait(), asio::detached);
    io_.poll();
    EXPECT_EQ(woken_, 0);
    event_.notify();
    io_.poll();
    EXPECT_EQ(woken_, 2);
}

TEST_F(Event, DoesNotWakeWhoWaitsLater) {
    event_.notify();
    asio::co_spawn(io_, wait(), asio::detached);
    io_.poll();
    EXPECT_EQ(woken_, 0);
    event_.notify();
    io_.poll();
    EXPECT_EQ(woken_, 1);
}

TEST_F(Event, ALimitEndsOneWaitAndNoOther) {
    asio::co_spawn(io_, wait(), asio::detached);
    asio::co_spawn(io_, wait(1ms), asio::detached);
    while (woken_ == 0)
        io_.run_one();
    io_.poll();
    EXPECT_EQ(woken_, 1);
    event_.notify();
    io_.poll();
    EXPECT_EQ(woken_, 2);
}

// A limit that has passed must not end later waits at once: their coroutines would spin.
TEST_F(Event, WaitsAgainAfterALimitHasPassed) {
    asio::co_spawn(io_, wait(1ms), asio::detached);
    while (woken_ == 0)
        io_.run_one();
    asio::co_spawn(io_, wait(), asio::detached);
    io_.restart();
    io_.poll();
    EXPECT_EQ(woken_, 1);
    event_.notify();
    io_.poll();
    EXPECT_EQ(woken_, 2);
}

// The waiting coroutine dies with the io_context, and nothing of it may be left in the event.
TEST(EventAlone, OutlivesTheIoContextOfWhoWaits) {
    auto io = std::make_unique<asio::io_context>();
    base::Event event(io->get_executor());
    asio::co_spawn(
        *io, [&event]() -> awaitable<void> { co_await event.wait(); }, asio::detached);
    io->poll();
    io.reset();
    event.notify();
}

}  // namespace
