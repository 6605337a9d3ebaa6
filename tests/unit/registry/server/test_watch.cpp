#include "registry/server/watch.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "base/fd.h"

namespace registry::server {
namespace {

// Connections are only compared, never looked into.
MHD_Connection* connection(int number) {
    return reinterpret_cast<MHD_Connection*>(static_cast<uintptr_t>(number));  // NOLINT(performance-no-int-to-ptr)
}

bool ended(int peer) {
    pollfd waiting{peer, POLLIN | POLLRDHUP, 0};
    return ::poll(&waiting, 1, 0) == 1;
}

class WatchTest : public testing::Test {
protected:
    WatchTest() { watch_.opened(connection(1), ours_.get()); }
    std::pair<base::UniqueFd, base::UniqueFd> pair_ = base::socket_pair();
    base::UniqueFd& ours_ = pair_.first;
    base::UniqueFd& peer_ = pair_.second;
    Watch watch_{std::chrono::seconds(-1)};  // as if time had passed
};

TEST_F(WatchTest, ASlowHeadIsEnded) {
    watch_.end_slow();
    EXPECT_TRUE(ended(peer_.get()));
}

TEST_F(WatchTest, ABodyIsGivenTime) {
    Watch patient(std::chrono::seconds(1000));
    patient.opened(connection(1), ours_.get());
    patient.body_begins(connection(1));
    patient.end_slow();
    EXPECT_FALSE(ended(peer_.get()));
}

TEST_F(WatchTest, AnAnswerTakesItsTime) {
    watch_.answering(connection(1));
    watch_.end_slow();
    EXPECT_FALSE(ended(peer_.get()));
    watch_.idle(connection(1));
    watch_.end_slow();
    EXPECT_TRUE(ended(peer_.get()));
}

TEST_F(WatchTest, AClosedConnectionIsForgotten) {
    watch_.closed(connection(1));
    watch_.idle(connection(1));
    watch_.end_slow();
    EXPECT_FALSE(ended(peer_.get()));
}

}  // namespace
}  // namespace registry::server
