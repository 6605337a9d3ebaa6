#include "dbg/published_port.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace dbg {
namespace {

TEST(PublishedPort, TwoPortsAreOfLoopback) {
    const PublishedPort port = parse_published_port("8080:80");
    EXPECT_EQ(port.address, "127.0.0.1");
    EXPECT_EQ(port.host, 8080);
    EXPECT_EQ(port.guest, 80);
}

TEST(PublishedPort, AddressOfEitherFamily) {
    EXPECT_EQ(parse_published_port("0.0.0.0:0:65535").address, "0.0.0.0");
    EXPECT_EQ(parse_published_port("[::1]:1:2").address, "::1");
}

TEST(PublishedPort, WhatIsNoneIsRefused) {
    for (const char* text :
         {"", "80", "80:", ":80", "80:0", "65536:80", "80:65536", "-1:80", "8o:80", "80:80:80", "localhost:80:80", " 80:80"})
        EXPECT_THROW((void)parse_published_port(text), base::Error) << text;
}

}  // namespace
}  // namespace dbg
