#include <gmock/gmock.h>

#include <vector>

#include "dbg/outbound/filter.h"
#include "frames.h"

namespace dbg::outbound {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint32_t kServer = 0xcb007105;      // 203.0.113.5
constexpr uint32_t kNameServer = 0x01010101;  // 1.1.1.1

class FilterTest : public testing::Test {
protected:
    explicit FilterTest(Access access = {.kind = Access::Kind::listed,
                                         .named = {{Protocol::tcp, "api.example.org", 443}},
                                         .targets = {{Protocol::tcp, kServer, 443}}})
        : filter(std::move(access), [this](const std::string& line) { said.push_back(line); }) {}

    bool passes(const std::string& frame) { return filter.from_guest(bytes_of(frame)).pass; }
    void answer(const std::string& name, uint32_t address, uint32_t server = kNameServer) {
        filter.from_world(bytes_of(udp(server, 53, kGuestAddress, 40000, dns(name, address))));
    }

    std::vector<std::string> said;
    Filter filter;
};

struct AllTest : FilterTest {
    AllTest() : FilterTest(Access{}) {}
};

TEST_F(FilterTest, PassesWhatIsListedAlone) {
    EXPECT_TRUE(passes(tcp(kServer, 443)));
    EXPECT_THAT(said, IsEmpty());
    EXPECT_FALSE(passes(tcp(kServer, 444)));
    EXPECT_FALSE(passes(tcp(kServer + 1, 443)));
    EXPECT_FALSE(passes(udp(kGuestAddress, 1, kServer, 443, "")));
    EXPECT_FALSE(passes(ipv4(Protocol::icmp, kGuestAddress, kServer, std::string(8, '\0'))));
    EXPECT_THAT(said, SizeIs(4));
}

TEST_F(FilterTest, PassesWellKnownNameServersByUdp) {
    EXPECT_TRUE(passes(udp(kGuestAddress, 1, kNameServer, 53, "")));
    EXPECT_FALSE(passes(tcp(kNameServer, 53)));
    EXPECT_FALSE(passes(udp(kGuestAddress, 1, kServer, 53, "")));
}

TEST_F(FilterTest, PassesArpForTheGatewayAlone) {
    EXPECT_TRUE(passes(arp(kGatewayAddress)));
    EXPECT_FALSE(passes(arp(kServer)));
    EXPECT_FALSE(passes(tcp(kServer, 443, 2, kGuestAddress + 1)));  // another's address
}

TEST_F(FilterTest, RefusesTcpAtOnce) {
    const std::string frame = tcp(kServer, 444);
    EXPECT_TRUE(filter.from_guest(bytes_of(frame)).answer);
    EXPECT_FALSE(filter.from_guest(bytes_of(udp(kGuestAddress, 1, kServer, 444, ""))).answer);
}

TEST_F(FilterTest, SaysOnceWhatItStopsAndAsWhatItWasAskedFor) {
    answer("\3www\7example\3org", kServer + 1);
    (void)passes(tcp(kServer + 1, 443));
    (void)passes(tcp(kServer + 1, 443));
    EXPECT_THAT(said, ElementsAre("blocked: tcp 203.0.113.6:443, asked for as www.example.org: add it by `gvmi manifest add-outbound "
                                  "https://www.example.org`"));
    (void)passes(tcp(kServer + 2, 22));
    EXPECT_EQ(said.back(),
              "blocked: tcp 203.0.113.7:22, not asked for by a name: add it by `gvmi manifest add-outbound tcp://203.0.113.7:22`");
}

TEST_F(FilterTest, SaysThatAListedNameHasMoved) {
    answer("\3api\7example\3org", kServer + 1);
    EXPECT_FALSE(passes(tcp(kServer + 1, 443)));
    EXPECT_THAT(said.back(), HasSubstr("asked for as api.example.org: the manifest has it"));
}

TEST_F(FilterTest, BelievesNameServersAlone) {
    answer("\3www\7example\3org", kServer + 1, kServer);
    (void)passes(tcp(kServer + 1, 443));
    EXPECT_THAT(said.back(), HasSubstr("not asked for by a name"));
}

TEST_F(FilterTest, NamesABoundedNumber) {
    for (uint16_t port = 1; port < 1000; port++)
        (void)passes(tcp(kServer, port));
    EXPECT_THAT(said, SizeIs(Filter::kMaxTold + 1));
}

TEST_F(AllTest, NotesWhatIsReached) {
    answer("\3www\7example\3org", kServer);
    EXPECT_TRUE(passes(tcp(kServer, 443)));
    EXPECT_TRUE(passes(tcp(kServer, 443)));
    EXPECT_TRUE(passes(udp(kGuestAddress, 1, kServer + 1, 123, "")));
    EXPECT_TRUE(passes(udp(kGuestAddress, 1, kNameServer, 53, "")));
    EXPECT_TRUE(passes(ipv4(Protocol::icmp, kGuestAddress, kServer, std::string(8, '\0'))));
    EXPECT_THAT(filter.reached(), ElementsAre("https://www.example.org", "udp://203.0.113.6:123"));
    EXPECT_THAT(said, IsEmpty());
}

TEST_F(AllTest, KeepsFromThisMachine) {
    for (const uint32_t address : {0x7f000001U, 0U, kGatewayAddress, kGuestAddress, 0xe0000001U, 0xffffffffU})
        EXPECT_FALSE(passes(tcp(address, 80))) << address;
    EXPECT_THAT(filter.reached(), IsEmpty());
}

}  // namespace
}  // namespace dbg::outbound
