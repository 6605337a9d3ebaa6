#include "thin/policy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

#include "base/error.h"

namespace {

bool is_public(const std::string& text) {
    sockaddr_in6 v6{};
    sockaddr_in v4{};
    if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        sockaddr address{};
        std::memcpy(&address, &v4, sizeof address);
        return thin::is_public(address);
    }
    EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr), 1) << text;
    v6.sin6_family = AF_INET6;
    return thin::is_public(*reinterpret_cast<const sockaddr*>(&v6));
}

TEST(Policy, PublicAddresses) {
    for (const char* text : {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "128.0.0.1", "172.15.255.255",
                             "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
                             "2606:4700::1111", "2a00::1", "64:ff9b::8.8.8.8", "2002:0808:0808::1"})
        EXPECT_TRUE(is_public(text)) << text;
}

TEST(Policy, AddressesThatAreNotPublic) {
    for (const char* text : {"0.0.0.0",           "10.0.0.1",        "100.64.0.1",        "127.0.0.1",   "127.255.255.255",
                             "169.254.169.254",   "172.16.0.1",      "172.31.255.255",    "192.0.0.1",   "192.0.2.1",
                             "192.168.1.1",       "198.18.0.1",      "198.51.100.1",      "203.0.113.1", "224.0.0.1",
                             "239.255.255.255",   "240.0.0.1",       "255.255.255.255",   "::",          "::1",
                             "::ffff:127.0.0.1",  "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "fc00::1",     "fd12::1",
                             "fe80::1",           "ff02::1",         "2001:db8::1",       "2001::1",     "2002:7f00:0001::1",
                             "2002:0a00:0001::1", "::127.0.0.1"})
        EXPECT_FALSE(is_public(text)) << text;
}

TEST(Policy, AllowsHostsByNameAndPort) {
    const thin::Policy policy{.listed_only = false, .allow = {"registry.lan", "other.lan:8080", "127.0.0.1"}};
    EXPECT_TRUE(thin::is_allowed(policy, "http://registry.lan/a"));
    EXPECT_TRUE(thin::is_allowed(policy, "https://REGISTRY.lan:5000/a"));
    EXPECT_TRUE(thin::is_allowed(policy, "http://other.lan:8080/"));
    EXPECT_FALSE(thin::is_allowed(policy, "http://other.lan/"));
    EXPECT_FALSE(thin::is_allowed(policy, "http://registry.lan.evil.example/"));
    EXPECT_FALSE(thin::is_allowed(policy, "http://evil.example/registry.lan"));
    EXPECT_TRUE(thin::is_allowed(policy, "http://2130706433/")) << "another way to write 127.0.0.1";
}

TEST(Policy, RefusesWhatIsNoUrl) {
    for (const char* text : {"", "registry", "ftp://a/", "file:///etc/passwd", "http://user:secret@a/", "http://a b/"})
        EXPECT_THROW((void)thin::is_allowed({}, text), base::Error) << text;
}

}  // namespace
