#include "registry/server/webhooks.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace registry::server {
namespace {

TEST(Webhooks, SignAsOthersDo) {
    // RFC 4231, test case 2.
    EXPECT_EQ(webhook_signature("Jefe", "what do ya want for nothing?"),
              "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Webhooks, RefuseABadUrl) {
    for (const char* url : {"", "x", "ftp://127.0.0.1/", "http://"})
        EXPECT_THROW(Webhooks({.urls = {url}, .secret = "s"}), base::Error) << url;
}

TEST(Webhooks, CountWhatIsDropped) {
    // Nobody listens on port 1, and the first delivery is tried for long.
    Webhooks hooks({.urls = {"http://127.0.0.1:1/"}, .secret = "s", .tries = 8, .pause = std::chrono::hours(1)});
    for (size_t n = 0; n < Webhooks::kMostWaiting + 7; n++)
        hooks.tell({.name = "tag"});
    hooks.tell({.name = "sign-in"});  // is no business of others
    EXPECT_EQ(hooks.counts().waiting, Webhooks::kMostWaiting);
    EXPECT_EQ(hooks.counts().dropped, 7u);
    hooks.stop(std::chrono::milliseconds(0));  // does not wait for the pause
}

}  // namespace
}  // namespace registry::server
