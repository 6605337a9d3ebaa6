#include "runtime/start_turn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

class StartTurn : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "turn-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { fs::remove_all(folder_); }

    std::future<base::UniqueFd> ask(std::chrono::steady_clock::duration limit = 60s) {
        return asio::co_spawn(io_, runtime::take_turn(io_.get_executor(), folder_ / "cache", limit), asio::use_future);
    }
    // Whether it came; the turn is kept.
    bool came(std::future<base::UniqueFd>& turn, std::chrono::steady_clock::duration time = 60s) {
        const auto deadline = std::chrono::steady_clock::now() + time;
        while (turn.wait_for(0s) != std::future_status::ready && std::chrono::steady_clock::now() < deadline) {
            io_.restart();
            io_.run_one_for(10ms);
        }
        if (turn.wait_for(0s) != std::future_status::ready) return false;
        turns_.push_back(turn.get());
        return static_cast<bool>(turns_.back());
    }

    const unsigned cpus_ = std::max(1U, std::thread::hardware_concurrency());
    fs::path folder_;
    asio::io_context io_;
    std::vector<base::UniqueFd> turns_;
};

TEST_F(StartTurn, ComesAtOnceWhereACpuIsFree) {
    for (unsigned i = 0; i < cpus_; i++) {
        auto turn = ask();
        EXPECT_TRUE(came(turn));
    }
    turns_.back().reset();
    auto again = ask();
    EXPECT_TRUE(came(again));
}

TEST_F(StartTurn, IsWaitedForWhereNoneIs) {
    for (unsigned i = 0; i < cpus_; i++) {
        auto turn = ask();
        ASSERT_TRUE(came(turn));
    }
    auto late = ask();
    EXPECT_FALSE(came(late, 200ms));
    turns_.clear();  // whichever it waits for
    EXPECT_TRUE(came(late));
}

TEST_F(StartTurn, IsNotWaitedForWithoutEnd) {
    for (unsigned i = 0; i < cpus_; i++) {
        auto turn = ask();
        ASSERT_TRUE(came(turn));
    }
    auto late = ask(10ms);
    EXPECT_FALSE(came(late));
    ASSERT_EQ(turns_.size(), cpus_ + 1) << "it is over, though";
    // Who gave up takes no turn when one is free.
    turns_.clear();
    for (unsigned i = 0; i < cpus_; i++) {
        auto turn = ask();
        EXPECT_TRUE(came(turn));
    }
}

TEST_F(StartTurn, IsDoneWithoutWhereThereIsNoCache) {
    auto turn = asio::co_spawn(io_, runtime::take_turn(io_.get_executor(), {}, 60s), asio::use_future);
    EXPECT_FALSE(came(turn));
    EXPECT_EQ(turns_.size(), 1U);
}

}  // namespace
