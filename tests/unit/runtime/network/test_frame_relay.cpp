#include "runtime/network/frame_relay.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <thread>

#include "base/fd.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr size_t kLongestFrame = 14 + 4 + 65535;

// A frame behind its length, as it travels.
std::string framed(const std::string& frame) {
    const auto size = static_cast<uint32_t>(frame.size());
    std::string text;
    for (const int shift : {24, 16, 8, 0})
        text += static_cast<char>(size >> shift & 0xff);
    return text + frame;
}

// Both ends of a relay in the test's hands; the relay itself runs on a thread.
class FrameRelay : public testing::Test {
protected:
    FrameRelay() : thread_([this] { io_.run(); }) {}
    ~FrameRelay() override {
        io_.stop();
        thread_.join();
    }

    void start() {
        auto [ours, theirs] = base::socket_pair();
        machine_ = std::move(ours);
        set_deadline(machine_.get());
        tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
        peer_.connect(acceptor.local_endpoint());
        set_deadline(peer_.native_handle());
        runtime::start_relay("eth0", acceptor.accept(), std::move(theirs));
    }

    // Starts a relay that waits for its peer; the machine sends `early` at once. Returns where the relay listens.
    tcp::endpoint listen(const std::string& early) {
        auto [ours, theirs] = base::socket_pair();
        machine_ = std::move(ours);
        set_deadline(machine());
        tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
        tcp::endpoint address = acceptor.local_endpoint();
        send(machine(), early);
        runtime::start_relay("eth0", std::move(acceptor), std::move(theirs));
        return address;
    }

    // A read ends after a minute, so that a test fails instead of hanging.
    static void set_deadline(int socket) {
        const timeval limit{.tv_sec = 60, .tv_usec = 0};
        ASSERT_EQ(::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    }
    static void send(int socket, const std::string& text) {
        ASSERT_EQ(::send(socket, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    // So many bytes, or fewer where the stream ends.
    static std::string receive(int socket, size_t size) {
        std::string text(size, '\0');
        size_t have = 0;
        while (have < size) {
            const ssize_t n = ::recv(socket, text.data() + have, size - have, 0);
            if (n <= 0) break;
            have += static_cast<size_t>(n);
        }
        text.resize(have);
        return text;
    }
    int peer() { return peer_.native_handle(); }
    int machine() const { return machine_.get(); }

    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    tcp::socket peer_{io_};
    base::UniqueFd machine_;
    std::thread thread_;
};

TEST_F(FrameRelay, PassesFramesBothWays) {
    start();
    const std::string frames = framed(std::string(14, 'a')) + framed(std::string(1500, 'b')) + framed(std::string(kLongestFrame, 'c'));
    send(peer(), frames);
    EXPECT_EQ(receive(machine(), frames.size()), frames);
    send(machine(), frames);
    EXPECT_EQ(receive(peer(), frames.size()), frames);
}

TEST_F(FrameRelay, LeavesOutWhatIsNoFrameAndGoesOn) {
    start();
    const std::string good = framed(std::string(60, 'g'));
    const std::string last = framed(std::string(61, 'l'));
    send(peer(), good + framed("") + framed(std::string(13, 's')) + framed(std::string(kLongestFrame + 1, 'x')) + last);
    EXPECT_EQ(receive(machine(), good.size() + last.size()), good + last);
}

TEST_F(FrameRelay, TheEndOfThePeerIsTheMachinesEnd) {
    start();
    peer_.close();
    EXPECT_EQ(receive(machine(), 1), "");
}

TEST_F(FrameRelay, TheEndOfTheMachineIsThePeersEnd) {
    start();
    machine_.reset();
    EXPECT_EQ(receive(peer(), 1), "");
}

TEST_F(FrameRelay, TheFirstToConnectIsThePeerAndMissesNothing) {
    const std::string early = framed(std::string(20, 'e'));
    const tcp::endpoint address = listen(early);
    peer_.connect(address);
    set_deadline(peer());
    EXPECT_EQ(receive(peer(), early.size()), early);
    send(peer(), early);
    EXPECT_EQ(receive(machine(), early.size()), early);
    tcp::socket second(io_);
    boost::system::error_code error;
    second.connect(address, error);
    EXPECT_TRUE(error) << "a second peer could connect";
}

TEST_F(FrameRelay, AnotherUserIsNotThePeer) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make a socket of another user";
    const std::string early = framed(std::string(20, 'e'));
    const tcp::endpoint address = listen(early);
    tcp::socket stranger(io_);
    ::setfsuid(65534);  // of this thread; the kernel gives a new socket to this user
    stranger.open(tcp::v4());
    ::setfsuid(0);
    stranger.connect(address);
    set_deadline(stranger.native_handle());
    EXPECT_EQ(receive(stranger.native_handle(), 1), "");
    peer_.connect(address);
    set_deadline(peer());
    EXPECT_EQ(receive(peer(), early.size()), early);
}

}  // namespace
