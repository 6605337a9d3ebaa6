#include <gmock/gmock.h>

#include "dbg/outbound/dns_answer.h"
#include "frames.h"

namespace dbg::outbound {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kName("\3api\7Example\3org");

TEST(DnsAnswer, HasTheNameThatWasAskedFor) {
    const DnsAnswer answer = parse_dns_answer(bytes_of(dns(kName, 0xcb007105)));
    EXPECT_EQ(answer.name, "api.example.org");
    EXPECT_THAT(answer.addresses, ElementsAre(0xcb007105));
}

TEST(DnsAnswer, WhatIsCutGivesNothing) {
    const std::string whole = dns(kName, 0xcb007105);
    for (size_t size = 0; size < whole.size(); size++)
        EXPECT_THAT(parse_dns_answer(bytes_of(whole.substr(0, size))).addresses, IsEmpty()) << size;
}

TEST(DnsAnswer, QuestionsErrorsAndOddNamesGiveNothing) {
    EXPECT_THAT(parse_dns_answer(bytes_of(dns(kName, 1, 0x0100))).addresses, IsEmpty());
    EXPECT_THAT(parse_dns_answer(bytes_of(dns(kName, 1, 0x8183))).addresses, IsEmpty());
    EXPECT_THAT(parse_dns_answer(bytes_of(dns("\3a\x1b[", 1))).addresses, IsEmpty());
    EXPECT_THAT(parse_dns_answer(bytes_of(dns("\xc0\x0c", 1))).addresses, IsEmpty());
    EXPECT_THAT(parse_dns_answer(bytes_of(dns("", 1))).addresses, IsEmpty());
    std::string long_name;
    for (int i = 0; i < 5; i++)
        long_name += "\x3f" + std::string(63, 'a');
    EXPECT_THAT(parse_dns_answer(bytes_of(dns(long_name, 1))).addresses, IsEmpty());
}

TEST(DnsAnswer, MoreRecordsThanThereAreGiveNothing) {
    EXPECT_THAT(parse_dns_answer(bytes_of(dns(kName, 1, 0x8180, 2))).addresses, IsEmpty());
}

}  // namespace
}  // namespace dbg::outbound
