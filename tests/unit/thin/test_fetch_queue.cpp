#include "thin/fetch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;
using thin::FetchQueue;

const FetchQueue::Clock::time_point kStart = FetchQueue::Clock::now();

TEST(FetchQueue, GivesWhatIsWaitedForFirst) {
    const std::vector<uint32_t> recorded{7, 8, 20};
    FetchQueue queue(100, recorded, true);
    queue.demand(50, kStart);
    EXPECT_EQ(queue.neglected(), 1);
    EXPECT_THAT(queue.take_run(kStart), ElementsAre(50, 51));
    EXPECT_EQ(queue.neglected(), 0);
    EXPECT_TRUE(queue.is_any_demanded());
    EXPECT_THAT(queue.take_run(kStart), ElementsAre(7, 8)) << "the recorded start, as far as it adjoins";
    EXPECT_THAT(queue.take_run(kStart), ElementsAre(20));
    EXPECT_THAT(queue.take_run(kStart), IsEmpty()) << "somebody has just waited";
    EXPECT_THAT(queue.take_run(kStart + FetchQueue::kQuiet), ElementsAre(0, 1, 2, 3, 4, 5, 6));
    EXPECT_THAT(queue.take_run(kStart + FetchQueue::kQuiet), ElementsAre(9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19));
}

TEST(FetchQueue, GivesNothingThatNobodyNeeds) {
    FetchQueue queue(100, {}, false);
    EXPECT_THAT(queue.take_run(kStart + 1h), IsEmpty());
    EXPECT_FALSE(queue.has_background());
}

TEST(FetchQueue, GivesABlockToOneAtATime) {
    FetchQueue queue(3, {}, false);
    queue.demand(1, kStart);
    EXPECT_THAT(queue.take_run(kStart), ElementsAre(1, 2));
    EXPECT_THAT(queue.take_run(kStart), IsEmpty());
    queue.give_back(1);
    EXPECT_THAT(queue.take_run(kStart), ElementsAre(1));
    queue.arrived(1);
    EXPECT_FALSE(queue.is_any_demanded());
    EXPECT_TRUE(queue.is_present(1));
}

TEST(FetchQueue, ReadsAheadMoreAndMore) {
    FetchQueue queue(100, {}, false);
    const auto fetch = [&queue](uint64_t block) {
        queue.demand(block, kStart);
        std::vector<uint64_t> all;
        for (auto run = queue.take_run(kStart); !run.empty(); run = queue.take_run(kStart)) {
            for (const uint64_t one : run)
                queue.arrived(one);
            all.insert(all.end(), run.begin(), run.end());
        }
        return all.size();
    };
    EXPECT_EQ(fetch(10), 2u);
    EXPECT_EQ(fetch(12), 3u) << "the two that a request has, and one more of two ahead";
    EXPECT_EQ(fetch(15), 5u);
    EXPECT_EQ(fetch(20), 9u);
    EXPECT_EQ(fetch(60), 2u) << "elsewhere";
}

TEST(FetchQueue, IsCompleteOnceAllHaveArrived) {
    FetchQueue queue(2, {}, true);
    EXPECT_TRUE(queue.has_background());
    for (const uint64_t block : queue.take_run(kStart))
        queue.arrived(block);
    EXPECT_TRUE(queue.complete());
    EXPECT_FALSE(queue.has_background());
    queue.give_back(0);
    EXPECT_FALSE(queue.complete()) << "it was evicted";
    EXPECT_THAT(queue.take_run(kStart), ElementsAre(0));
}

}  // namespace
