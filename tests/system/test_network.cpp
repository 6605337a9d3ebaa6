// Two VMs on one network, joined by frames that the test carries as a supervisor does (exe-unit.md, "Networking").
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

constexpr size_t kMaxFrame = 65536;

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

base::UniqueFd open_socket(int type) {
    base::UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    if (!fd) base::throw_errno("cannot make a socket");
    return fd;
}

uint16_t port_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) base::throw_errno("cannot ask a socket");
    return ntohs(address.sin_port);
}

base::UniqueFd bound(int type) {
    base::UniqueFd fd = open_socket(type);
    const sockaddr_in address = loopback(0);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) base::throw_errno("cannot bind");
    return fd;
}

void connect_to(int fd, const std::string& endpoint) {
    ASSERT_THAT(endpoint, testing::StartsWith("127.0.0.1:"));
    const sockaddr_in address = loopback(static_cast<uint16_t>(std::stoi(endpoint.substr(10))));
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

// The supervisor's end of a card: a frame at a time, in datagrams or behind its length.
struct Port {
    base::UniqueFd fd;
    bool stream = false;

    std::string receive() const {
        std::string frame(kMaxFrame, '\0');
        if (!stream) {
            const ssize_t size = ::recv(fd.get(), frame.data(), frame.size(), 0);
            frame.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
            return frame;
        }
        uint32_t size = 0;
        if (::recv(fd.get(), &size, sizeof size, MSG_WAITALL) != sizeof size) return {};
        frame.resize(std::min<size_t>(ntohl(size), kMaxFrame));
        if (::recv(fd.get(), frame.data(), frame.size(), MSG_WAITALL) != static_cast<ssize_t>(frame.size())) return {};
        return frame;
    }

    void send(const std::string& frame) const {
        const uint32_t size = htonl(static_cast<uint32_t>(frame.size()));
        const std::string head = stream ? std::string(reinterpret_cast<const char*>(&size), sizeof size) : std::string();
        (void)::send(fd.get(), (head + frame).data(), head.size() + frame.size(), MSG_NOSIGNAL);
    }
};

// Carries frames between two cards until it is destroyed.
class Switch {
public:
    Switch(const Port& a, const Port& b) : stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this, &a, &b] { carry(a, b); }) {}
    ~Switch() {
        (void)::eventfd_write(stop_.get(), 1);
        thread_.join();
    }
    Switch(const Switch&) = delete;
    Switch& operator=(const Switch&) = delete;

private:
    void carry(const Port& a, const Port& b) const {
        for (;;) {
            pollfd fds[] = {{stop_.get(), POLLIN, 0}, {a.fd.get(), POLLIN, 0}, {b.fd.get(), POLLIN, 0}};
            if (::poll(fds, 3, -1) < 0 || fds[0].revents) return;
            if (fds[1].revents) b.send(a.receive());
            if (fds[2].revents) a.send(b.receive());
        }
    }

    base::UniqueFd stop_;
    std::thread thread_;
};

class NetworkTest : public SystemTest {
protected:
    static api::CreateNetwork vpn(const std::string& if_addr) {
        api::CreateNetwork request;
        api::Network& network = *request.add_networks();
        network.set_addr("192.168.8.1");  // with host bits
        network.set_mask("255.255.255.0");
        network.set_if_addr(if_addr);
        (*request.mutable_hosts())["left"] = "192.168.8.2";
        (*request.mutable_hosts())["right"] = "192.168.8.3";
        return request;
    }

    // A VM whose eth0 ends at a datagram port of ours.
    std::unique_ptr<Runtime> start_on(Port& port, const std::string& if_addr) {
        port.fd = bound(SOCK_DGRAM);
        auto vm = start({"--vpn-endpoint", "udp://127.0.0.1:" + std::to_string(port_of(port.fd.get()))});
        connect_to(port.fd.get(), vm->wait(vm->client().network(vpn(if_addr))).udp_datagram());
        return vm;
    }

    static void expect_joined(Runtime& left, Runtime& right, const Port& a, const Port& b) {
        const Switch joined(a, b);
        EXPECT_EQ(left.run({"ping", "-c", "1", "-W", "10", "right"}).code, 0);
        EXPECT_EQ(right.run({"ping", "-c", "1", "-W", "10", "192.168.8.2"}).code, 0);
        EXPECT_EQ(left.run({"ping", "-c", "1", "-s", "20000", "-W", "10", "right"}).code, 0);  // in fragments
    }

    void second_workdir() {
        workdir /= "second";
        fs::create_directory(workdir);
        deploy();
    }
};

TEST_F(NetworkTest, TwoVmsByDatagrams) {
    deploy();
    Port a;
    Port b;
    const auto left = start_on(a, "192.168.8.2");
    second_workdir();
    const auto right = start_on(b, "192.168.8.3");
    expect_joined(*left, *right, a, b);
    EXPECT_EQ(left->shutdown(), 0);
    EXPECT_EQ(right->shutdown(), 0);
}

TEST_F(NetworkTest, DatagramsAndAStreamThatListens) {
    deploy();
    Port a;
    Port b{.fd = open_socket(SOCK_STREAM), .stream = true};
    const auto left = start_on(a, "192.168.8.2");
    second_workdir();
    const auto right = start({"--vpn-endpoint", "tcp-listen://"});
    connect_to(b.fd.get(), right->wait(right->client().network(vpn("192.168.8.3"))).tcp_stream());
    expect_joined(*left, *right, a, b);
    EXPECT_EQ(left->shutdown(), 0);
    EXPECT_EQ(right->shutdown(), 0);
}

TEST_F(NetworkTest, DatagramsAndAStreamThatConnects) {
    deploy();
    Port a;
    Port b{.fd = {}, .stream = true};
    const auto left = start_on(a, "192.168.8.2");
    second_workdir();
    const base::UniqueFd listener = bound(SOCK_STREAM);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    const auto right = start({"--vpn-endpoint", "tcp-connect://127.0.0.1:" + std::to_string(port_of(listener.get()))});
    b.fd.reset(::accept(listener.get(), nullptr, nullptr));
    right->wait(right->client().network(vpn("192.168.8.3")));
    expect_joined(*left, *right, a, b);
    EXPECT_EQ(left->shutdown(), 0);
    EXPECT_EQ(right->shutdown(), 0);
}

TEST_F(NetworkTest, CardsAreNamedAndConfigured) {
    deploy();
    const base::UniqueFd vpn_socket = bound(SOCK_DGRAM);
    const base::UniqueFd inet_socket = bound(SOCK_DGRAM);
    const auto vm = start({"--vpn-endpoint", "udp://127.0.0.1:" + std::to_string(port_of(vpn_socket.get())), "--inet-endpoint",
                           "udp://127.0.0.1:" + std::to_string(port_of(inet_socket.get()))});
    EXPECT_THAT(vm->run({"ip", "link", "show", "eth0"}).out, HasSubstr("90:13:00:00:00:01"));
    EXPECT_THAT(vm->run({"ip", "link", "show", "eth1"}).out, HasSubstr("90:13:00:00:00:02"));

    api::CreateNetwork inet;
    inet.set_interface(api::INET);
    api::Network& network = *inet.add_networks();
    network.set_addr("10.42.42.1");
    network.set_gateway("10.42.42.1");
    network.set_mask("24");
    network.set_if_addr("10.42.42.2");
    EXPECT_THAT(vm->wait(vm->client().network(inet)).udp_datagram(), HasSubstr("127.0.0.1:"));
    vm->wait(vm->client().network(vpn("192.168.8.2")));
    EXPECT_THAT(vm->run({"ip", "link", "show", "eth0"}).out, HasSubstr("mtu 1220"));
    api::CreateNetwork six;
    api::Network& second = *six.add_networks();
    second.set_addr("fd00:8::");
    second.set_mask("64");
    second.set_if_addr("fd00:8::2");
    vm->wait(vm->client().network(six));

    const std::string eth0 = vm->run({"ip", "addr", "show", "eth0"}).out;
    EXPECT_THAT(eth0, HasSubstr("90:13:c0:a8:08:02"));
    EXPECT_THAT(eth0, HasSubstr("192.168.8.2/24"));
    EXPECT_THAT(eth0, HasSubstr("fd00:8::2/64"));
    const std::string eth1 = vm->run({"ip", "addr", "show", "eth1"}).out;
    EXPECT_THAT(eth1, HasSubstr("90:13:0a:2a:2a:02"));
    EXPECT_THAT(eth1, HasSubstr("mtu 65280"));
    const std::string routes = vm->run({"ip", "route"}).out;
    EXPECT_THAT(routes, HasSubstr("default via 10.42.42.1 dev eth1"));
    EXPECT_THAT(routes, HasSubstr("192.168.8.0/24 dev eth0"));
    const std::string hosts = vm->run({"cat", "/etc/hosts"}).out;
    EXPECT_THAT(hosts, HasSubstr("192.168.8.3"));
    EXPECT_THAT(hosts, HasSubstr("right"));
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(NetworkTest, AnEndpointThatCannotBeReachedIsAnErrorToHello) {
    deploy();
    const uint16_t port = port_of(bound(SOCK_STREAM).get());
    const auto vm = launch({"--vpn-endpoint", "tcp-connect://127.0.0.1:" + std::to_string(port)});
    try {
        vm->hello();
        FAIL();
    } catch (const exeunit::RequestError& e) {
        EXPECT_THAT(e.what(), HasSubstr("cannot connect the card eth0"));
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
