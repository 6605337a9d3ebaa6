// Two VMs on one network, joined by frames that the test carries as a supervisor does (docs/spec/exe-unit.md, "Networking").
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

base::UniqueFd bound(int type, uint16_t port = 0) {
    base::UniqueFd fd = open_socket(type);
    const sockaddr_in address = loopback(port);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) base::throw_errno("cannot bind");
    return fd;
}

uint16_t connected_port(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) base::throw_errno("cannot ask a socket");
    return ntohs(address.sin_port);
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

    static api::CreateNetwork vpn_of_ipv6(const std::string& if_addr) {
        api::CreateNetwork request;
        api::Network& network = *request.add_networks();
        network.set_addr("fd00:8::");
        network.set_mask("64");
        network.set_if_addr(if_addr);
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

    static api::Error::Code refused(Runtime& vm, const api::CreateNetwork& request) {
        try {
            vm.wait(vm.client().network(request));
        } catch (const exeunit::ResponseError& e) {
            return e.code();
        }
        throw base::Error("the request was not refused");
    }

    // The guest asks by ARP for an address, and is given an answer that it must take: its card works both ways.
    static void answer_ping(Runtime& vm, const Port& port) {
        const auto ping =
            vm.begin({"/bin/sh", "-c", "ping -c 1 -W 5 192.168.8.3 > /dev/null; ip neigh show 192.168.8.3 | grep -i 02:00:00:00:00:07"});
        const timeval limit{.tv_sec = 20, .tv_usec = 0};
        ASSERT_EQ(::setsockopt(port.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
        std::string frame;
        do {
            frame = port.receive();
            ASSERT_FALSE(frame.empty()) << "the card says nothing";
        } while (frame.size() < 42 || frame.substr(12, 2) != "\x08\x06" || frame.substr(38, 4) != "\xc0\xa8\x08\x03");
        const std::string mac("\x02\0\0\0\0\x07", 6);
        port.send(frame.substr(6, 6) + mac + frame.substr(12, 9) + "\x02" + mac + frame.substr(38, 4) + frame.substr(22, 10));
        vm.finish(ping);
        EXPECT_EQ(ping->code, 0) << ping->out << ping->err;
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

    left->wait(left->client().network(vpn_of_ipv6("fd00:8::2")));
    right->wait(right->client().network(vpn_of_ipv6("fd00:8::3")));
    const Switch joined(a, b);
    EXPECT_EQ(left->run({"ping", "-6", "-c", "1", "-s", "20000", "-W", "10", "fd00:8::3"}).code, 0);
    EXPECT_EQ(right->run({"ping", "-6", "-c", "1", "-W", "10", "fd00:8::2"}).code, 0);
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
    vm->wait(vm->client().network(vpn_of_ipv6("fd00:8::2")));

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

TEST_F(NetworkTest, SeveralNetworksOfBothKindsInOneRequest) {
    deploy();
    const base::UniqueFd socket = bound(SOCK_DGRAM);
    const auto vm = start({"--vpn-endpoint", "udp://127.0.0.1:" + std::to_string(port_of(socket.get()))});
    api::CreateNetwork request;
    const auto add = [&request](const char* addr, const char* mask, const char* if_addr, const char* gateway) {
        api::Network& network = *request.add_networks();
        network.set_addr(addr);
        network.set_mask(mask);
        network.set_if_addr(if_addr);
        network.set_gateway(gateway);
    };
    add("fd00:8::7", "ffff:ffff:ffff:ffff::", "fd00:8::102:304", "");
    add("192.168.8.0", "24", "192.168.8.2", "");
    add("192.168.9.5", "255.255.255.0", "192.168.8.3", "192.168.8.1");
    (*request.mutable_hosts())["six"] = "fd00:8::9";
    vm->wait(vm->client().network(request));

    // The card's own state and its link-local address come a moment later.
    const auto configured = [&vm] { return vm->sh("ip addr show eth0 | grep -E 'link/ether|inet |inet6 fd'").out; };
    const std::string eth0 = configured();
    EXPECT_THAT(eth0, HasSubstr("90:13:01:02:03:04"));  // of the first one's address
    for (const char* address : {"fd00:8::102:304/64", "192.168.8.2/24", "192.168.8.3/24"})
        EXPECT_THAT(eth0, HasSubstr(address));
    EXPECT_THAT(vm->run({"ip", "route"}).out, HasSubstr("192.168.9.0/24 via 192.168.8.1 dev eth0"));
    EXPECT_THAT(vm->run({"ip", "-6", "route"}).out, HasSubstr("fd00:8::/64 dev eth0"));
    EXPECT_THAT(vm->run({"cat", "/etc/hosts"}).out, HasSubstr("fd00:8::9"));

    // There is no card for this one, and a bad one changes nothing.
    request.set_interface(api::INET);
    EXPECT_EQ(refused(*vm, request), api::Error::BAD_REQUEST);
    request.set_interface(api::VPN);
    request.mutable_networks(0)->set_if_addr("no address");
    EXPECT_EQ(refused(*vm, request), api::Error::BAD_REQUEST);
    EXPECT_EQ(configured(), eth0);
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(NetworkTest, DatagramPeerThatVanishesComesBack) {
    deploy();
    Port port;
    const auto vm = start_on(port, "192.168.8.2");
    const int link = connected_port(port.fd.get());
    const uint16_t ours = port_of(port.fd.get());
    port.fd.reset();
    // Each of the guest's frames is now answered by "port unreachable".
    EXPECT_NE(vm->run({"ping", "-c", "1", "-W", "1", "right"}).code, 0);
    port.fd = bound(SOCK_DGRAM, ours);
    connect_to(port.fd.get(), "127.0.0.1:" + std::to_string(link));
    // QEMU takes an empty datagram for the end of a link, and what is longer than any frame must do no harm either.
    port.send({});
    port.send(std::string(13, 'x'));
    port.send(std::string(65507, 'x'));
    answer_ping(*vm, port);
    EXPECT_EQ(vm->shutdown(), 0);
    EXPECT_THAT(text_of(workdir / "logs/ya-runtime-vm.log"), HasSubstr("eth0: dropped 2 datagrams"));
}

TEST_F(NetworkTest, GuestThatSendsWhatNoDatagramHolds) {
    deploy();
    Port port{.fd = bound(SOCK_DGRAM)};
    const auto vm = start({"--inet-endpoint", "udp://127.0.0.1:" + std::to_string(port_of(port.fd.get()))});
    EXPECT_NE(vm->run({"ip", "link", "show", "eth0"}).code, 0);  // a card alone has its own name, too
    EXPECT_THAT(text_of(workdir / "logs/ya-runtime-vm.log"), testing::Not(HasSubstr("the VM boots")));
    api::CreateNetwork request = vpn("192.168.8.2");
    request.set_interface(api::INET);
    connect_to(port.fd.get(), vm->wait(vm->client().network(request)).udp_datagram());
    EXPECT_EQ(vm->sh("ip link set eth1 mtu 65535 && arp -s 192.168.8.4 02:00:00:00:00:08").code, 0);
    EXPECT_NE(vm->run({"ping", "-c", "1", "-W", "1", "-s", "65500", "192.168.8.4"}).code, 0);
    answer_ping(*vm, port);
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(NetworkTest, StreamOfBadFramesAndOneThatIsReset) {
    for (const bool listens : {true, false}) {
        deploy();
        const base::UniqueFd listener = bound(SOCK_STREAM);
        ASSERT_EQ(::listen(listener.get(), 1), 0);
        const auto vm =
            start({"--vpn-endpoint", listens ? "tcp-listen://" : "tcp-connect://127.0.0.1:" + std::to_string(port_of(listener.get()))});
        Port port{.fd = {}, .stream = true};
        const std::string endpoint = vm->wait(vm->client().network(vpn("192.168.8.2"))).tcp_stream();
        if (listens) {
            port.fd = open_socket(SOCK_STREAM);
            connect_to(port.fd.get(), endpoint);
        } else {
            port.fd.reset(::accept(listener.get(), nullptr, nullptr));
        }
        port.send({});
        port.send(std::string(80000, 'x'));
        answer_ping(*vm, port);

        const linger reset{.l_onoff = 1, .l_linger = 0};
        ASSERT_EQ(::setsockopt(port.fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        port.fd.reset();
        EXPECT_NE(vm->run({"ping", "-c", "1", "-W", "1", "right"}).code, 0);
        EXPECT_EQ(vm->sh("echo alive").out, "alive\n");
        EXPECT_EQ(vm->shutdown(), 0);
        const std::string log = text_of(workdir / "logs/ya-runtime-vm.log");
        EXPECT_THAT(log, HasSubstr("eth0: 2 frames that were too short or too long were dropped"));
        EXPECT_THAT(log, HasSubstr("eth0: the peer is gone: Connection reset by peer"));
    }
}

TEST_F(NetworkTest, AnEndpointThatCannotBeReachedIsAnErrorToHello) {
    deploy();
    const uint16_t port = port_of(bound(SOCK_STREAM).get());
    const auto vm = launch({"--vpn-endpoint", "tcp-connect://127.0.0.1:" + std::to_string(port)});
    try {
        vm->hello();
        FAIL();
    } catch (const exeunit::ResponseError& e) {
        EXPECT_THAT(e.what(), HasSubstr("cannot connect the card eth0"));
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
