#include "runtime/network/addresses.h"

#include <gtest/gtest.h>

#include "exeunit/request_error.h"

namespace {

using exeunit::RequestError;
using runtime::parse_address;
using runtime::parse_mask;

std::string bytes(std::initializer_list<int> values) {
    std::string result;
    for (const int value : values)
        result += static_cast<char>(value);
    return result;
}

TEST(Addresses, ParsesBothKinds) {
    EXPECT_EQ(parse_address("10.42.0.255"), bytes({10, 42, 0, 255}));
    EXPECT_EQ(parse_address("fe80::1"), bytes({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
    for (const char* bad : {"", "10.42.0", "10.42.0.256", "10.0.0.1/24", "fe80::1%eth0", "golem"})
        EXPECT_THROW(parse_address(bad), exeunit::RequestError) << bad;
}

TEST(Addresses, ParsesMasksInBothForms) {
    EXPECT_EQ(parse_mask("24", 4), 24U);
    EXPECT_EQ(parse_mask("0", 4), 0U);
    EXPECT_EQ(parse_mask("255.255.255.0", 4), 24U);
    EXPECT_EQ(parse_mask("255.255.240.0", 4), 20U);
    EXPECT_EQ(parse_mask("0.0.0.0", 4), 0U);
    EXPECT_EQ(parse_mask("128", 16), 128U);
    EXPECT_EQ(parse_mask("ffff:ffff::", 16), 32U);
    for (const char* bad : {"", "33", "-1", "24x", "255.0.255.0", "0.0.0.255", "ffff::", "golem"})
        EXPECT_THROW(parse_mask(bad, 4), exeunit::RequestError) << bad;
    EXPECT_THROW(parse_mask("129", 16), exeunit::RequestError);
}

TEST(Addresses, ClearsHostBits) {
    EXPECT_EQ(runtime::network_of(parse_address("10.42.255.255"), 20), parse_address("10.42.240.0"));
    EXPECT_EQ(runtime::network_of(parse_address("10.42.1.1"), 32), parse_address("10.42.1.1"));
    EXPECT_EQ(runtime::network_of(parse_address("10.42.1.1"), 0), parse_address("0.0.0.0"));
    EXPECT_EQ(runtime::network_of(parse_address("fd00:1:2:3::4"), 48), parse_address("fd00:1:2::"));
}

TEST(Addresses, MakesTheCardsMac) {
    EXPECT_EQ(runtime::mac_for(parse_address("192.168.0.3")), bytes({0x90, 0x13, 192, 168, 0, 3}));
    EXPECT_EQ(runtime::mac_for(parse_address("fd00::a:b:c:d")), bytes({0x90, 0x13, 0, 12, 0, 13}));
}

}  // namespace
