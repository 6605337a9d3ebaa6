#include "registry/server/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>

namespace registry::server {
namespace {

TEST(Workers, DrainDoesWhatIsQueued) {
    std::atomic<int> done = 0;
    Workers workers(2);
    for (int i = 0; i < 1000; i++)
        EXPECT_TRUE(workers.post([&done] { done++; }));
    workers.stop(true);
    EXPECT_EQ(done, 1000);
    EXPECT_FALSE(workers.post([&done] { done++; }));
    EXPECT_EQ(done, 1000);
}

TEST(Workers, AJobMayPostAnother) {
    std::atomic<int> done = 0;
    Workers workers(1);
    workers.post([&] {
        done++;
        (void)workers.post([&done] { done++; });
    });
    while (done < 2)
        std::this_thread::yield();
    workers.stop();
    EXPECT_EQ(done, 2);
}

TEST(Workers, TakeNoSignals) {
    const auto takes = [] {
        sigset_t blocked;
        (void)::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
        return sigismember(&blocked, SIGTERM) == 0;
    };
    Workers workers(1);
    std::promise<bool> worker;
    workers.post([&] { worker.set_value(takes()); });
    EXPECT_FALSE(worker.get_future().get());
    EXPECT_TRUE(takes()) << "who starts them goes on as before";
}

}  // namespace
}  // namespace registry::server
