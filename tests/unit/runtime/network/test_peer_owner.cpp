#include "runtime/network/peer_owner.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using runtime::owner_of_peer;

constexpr uid_t kNobody = 65534;

// A connection over the loopback: the socket that was accepted, and the peer's.
struct Connection {
    explicit Connection(tcp protocol = tcp::v4()) {
        tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
        const uint16_t port = acceptor.local_endpoint().port();
        peer.open(protocol);
        if (protocol == tcp::v6()) {
            peer.set_option(asio::ip::v6_only(false));
            peer.connect({asio::ip::make_address("::ffff:127.0.0.1"), port});
        } else {
            peer.connect({asio::ip::address_v4::loopback(), port});
        }
        accepted = acceptor.accept();
    }

    asio::io_context io;
    tcp::socket peer{io};
    tcp::socket accepted{io};
};

TEST(PeerOwner, IsTheUserWhoHoldsTheOtherEnd) {
    const Connection connection;
    EXPECT_EQ(owner_of_peer(connection.accepted), ::geteuid());
    EXPECT_EQ(owner_of_peer(connection.peer), ::geteuid());
}

TEST(PeerOwner, IsFoundBehindAnIpv6Socket) {
    const Connection connection(tcp::v6());
    EXPECT_EQ(owner_of_peer(connection.accepted), ::geteuid());
}

TEST(PeerOwner, IsAnotherUserWhereThatUserConnected) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make a socket of another user";
    ::setfsuid(kNobody);  // of this thread; the kernel gives a new socket to this user
    const Connection connection;
    ::setfsuid(0);
    EXPECT_EQ(owner_of_peer(connection.accepted), kNobody);
}

// The kernel lists a connection that its owner has closed as root's, which a stranger could use.
TEST(PeerOwner, IsNobodyOnceThePeerHasClosed) {
    Connection connection;
    connection.peer.close();
    EXPECT_EQ(owner_of_peer(connection.accepted), std::nullopt);
}

TEST(PeerOwner, IsUnknownWithoutAConnection) {
    asio::io_context io;
    EXPECT_EQ(owner_of_peer(tcp::socket(io)), std::nullopt);
}

}  // namespace
