#include "http/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Url, IsReadOnTheWayUnlessItIsHttpsOrStaysHere) {
    for (const char* url : {"http://registry.example.org", "http://127.0.0.1@example.org/", "http://10.0.0.1:8080", "http://[2001:db8::1]",
                            "http://127.0.0.1.example.org", "http://localhost.example.org", "HTTP://example.org"})
        EXPECT_TRUE(http::is_sent_in_clear(url)) << url;
    for (const char* url : {"https://registry.example.org", "http://127.0.0.1:8080", "http://127.1.2.3", "http://localhost:1/x",
                            "http://[::1]:8080", "HTTPS://example.org", "http://user@127.0.0.1"})
        EXPECT_FALSE(http::is_sent_in_clear(url)) << url;
    EXPECT_THROW((void)http::is_sent_in_clear("http://"), base::Error);
    EXPECT_THROW((void)http::is_sent_in_clear(""), base::Error);
}

TEST(ResolveUrl, FollowsRedirects) {
    EXPECT_EQ(http::resolve_url("http://a.example/x/y?z", "/w"), "http://a.example/w");
    EXPECT_EQ(http::resolve_url("http://a.example/x/y", "w?v"), "http://a.example/x/w?v");
    EXPECT_EQ(http::resolve_url("http://a.example/", "https://b.example:1/c"), "https://b.example:1/c");
    EXPECT_THAT([] { (void)http::resolve_url("http://a.example/", "http://[::bad"); }, ThrowsMessage<base::Error>(HasSubstr("not a URL")));
}

}  // namespace
