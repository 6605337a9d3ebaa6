#include "registry/server/client_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace registry::server {
namespace {

std::string client(const char* peer, const char* forwarded, const std::vector<std::string>& proxies = {}) {
    std::vector<Network> networks;
    networks.reserve(proxies.size());
    for (const std::string& proxy : proxies)
        networks.push_back(parse_network(proxy));
    return limited_address(client_of(boost::asio::ip::make_address(peer), forwarded, networks));
}

TEST(ClientAddress, IsThePeersWithoutAProxy) {
    EXPECT_EQ(client("192.0.2.7", ""), "192.0.2.7");
    EXPECT_EQ(client("192.0.2.7", "198.51.100.1"), "192.0.2.7") << "anybody can send the header";
    EXPECT_EQ(client("::ffff:192.0.2.7", ""), "192.0.2.7");
    EXPECT_EQ(client("2001:db8:1:2:3:4:5:6", ""), "2001:db8:1:2::");
}

TEST(ClientAddress, IsNoneForTheMachineItself) {
    EXPECT_EQ(client("127.0.0.1", ""), "");
    EXPECT_EQ(client("127.1.2.3", "127.0.0.1"), "");
    EXPECT_EQ(client("::1", ""), "");
    EXPECT_EQ(client("::ffff:127.0.0.1", ""), "");
}

TEST(ClientAddress, IsWhatAProxyNamesLast) {
    EXPECT_EQ(client("127.0.0.1", "198.51.100.1"), "198.51.100.1");
    EXPECT_EQ(client("10.9.8.7", "203.0.113.5, 198.51.100.1 ", {"10.0.0.0/8"}), "198.51.100.1")
        << "the first one is the client's own claim";
    EXPECT_EQ(client("10.9.8.7", "203.0.113.5,198.51.100.1,10.1.1.1", {"10.0.0.0/8"}), "198.51.100.1") << "two proxies";
    EXPECT_EQ(client("fd00::1", "2001:db8::1", {"fd00::/8"}), "2001:db8::");
    EXPECT_EQ(client("10.9.8.7", "10.1.1.1", {"10.0.0.0/8"}), "10.1.1.1") << "nobody is named behind the proxy";
}

TEST(ClientAddress, IsTheProxysWhereItNamesNobody) {
    for (const char* text : {"", ",", "unknown", "198.51.100.1:80", "198.51.100.1, x", "<script>"})
        EXPECT_EQ(client("10.9.8.7", text, {"10.9.8.7"}), "10.9.8.7") << text;
    std::string many;
    for (int i = 0; i < 1000; i++)
        many += "10.0.0.1,";
    EXPECT_EQ(client("10.9.8.7", (many + "10.0.0.1").c_str(), {"10.0.0.0/8"}), "10.0.0.1");
}

TEST(ParsedNetwork, HasTheBitsBehindTheSlash) {
    EXPECT_EQ(client("10.1.255.255", "198.51.100.1", {"10.0.0.0/15"}), "198.51.100.1");
    EXPECT_EQ(client("10.2.0.0", "198.51.100.1", {"10.0.0.0/15"}), "10.2.0.0");
    EXPECT_EQ(client("10.2.0.0", "198.51.100.1", {"0.0.0.0/0"}), "198.51.100.1");
    EXPECT_EQ(client("2001:db8::", "198.51.100.1", {"0.0.0.0/0"}), "2001:db8::") << "IPv4 alone";
    EXPECT_EQ(client("2001:db8::", "198.51.100.1", {"::/0"}), "198.51.100.1");
}

TEST(ParsedNetwork, IsRefusedWithAReason) {
    for (const char* text : {"", "proxy", "10.0.0/8", "/8"}) {
        EXPECT_THAT([text] { parse_network(text); },
                    testing::ThrowsMessage<base::Error>(std::string("bad network ") + text + ": it is neither ADDRESS nor ADDRESS/BITS"));
    }
    for (const char* text : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/4294967296"}) {
        EXPECT_THAT([text] { parse_network(text); },
                    testing::ThrowsMessage<base::Error>(std::string("bad network ") + text + ": behind the slash are not 0 to 32 bits"));
    }
    EXPECT_THROW(parse_network("::/129"), base::Error);
}

}  // namespace
}  // namespace registry::server
