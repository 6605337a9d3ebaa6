// The other end of a card's link, in the place of the supervisor: UDP on the loopback, a frame per datagram. For run.py.
//
// bench_peer join                             joins two links: what comes from the one goes to the other.
// bench_peer stack ADDRESS MTU COMMAND ARG... gives a link an IP stack: a network namespace of its own (so no root is needed and nothing is
//                                             left) with a tap of this ADDRESS/PREFIX; and runs the command in it.
//
// Writes a line with the port of each of its sockets, then reads a line with the port that each has to connect to; only then is the command
// run. Ends with the command, or at the end of its input.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"

namespace {

constexpr size_t kMaxFrame = 65536;
constexpr unsigned kBatch = 32;  // frames that are taken at a time, where so many wait

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

base::UniqueFd bind_socket() {
    base::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int size = 1 << 20;
    const sockaddr_in address = loopback(0);
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0 ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0 ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        base::throw_errno("cannot make a socket");
    return fd;
}

// Tells its port, and connects to that which we are told.
void introduce(const std::vector<base::UniqueFd>& sockets) {
    for (const base::UniqueFd& fd : sockets) {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0) base::throw_errno("cannot ask a socket");
        std::cout << ntohs(address.sin_port) << '\n';
    }
    std::cout << std::flush;
    for (const base::UniqueFd& fd : sockets) {
        uint16_t port = 0;
        if (!(std::cin >> port)) throw base::Error("no port to connect to");
        const sockaddr_in address = loopback(port);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) base::throw_errno("cannot connect");
    }
}

// Datagrams as many as there are, in buffers that stay.
class Batch {
public:
    Batch() : memory_(kBatch * kMaxFrame) {
        for (unsigned i = 0; i < kBatch; i++) {
            parts_.at(i) = {memory_.data() + i * kMaxFrame, kMaxFrame};
            messages_.at(i).msg_hdr.msg_iov = &parts_.at(i);
            messages_.at(i).msg_hdr.msg_iovlen = 1;
        }
    }

    // Waits for one. What is there behind it comes too.
    void receive(int fd) {
        for (iovec& part : parts_)
            part.iov_len = kMaxFrame;
        const int count = ::recvmmsg(fd, messages_.data(), kBatch, MSG_WAITFORONE, nullptr);
        count_ = static_cast<unsigned>(std::max(count, 0));  // an error is that nobody is there yet
        for (unsigned i = 0; i < count_; i++)
            parts_.at(i).iov_len = messages_.at(i).msg_len;
    }
    void send(int fd) {
        for (unsigned sent = 0; sent < count_;) {
            const int count = ::sendmmsg(fd, messages_.data() + sent, count_ - sent, 0);
            sent += count > 0 ? static_cast<unsigned>(count) : 1;  // a frame that cannot be sent is lost, as on any wire
        }
    }
    void write(int fd) const {
        for (unsigned i = 0; i < count_; i++)
            (void)!::write(fd, parts_.at(i).iov_base, parts_.at(i).iov_len);
    }

private:
    std::vector<char> memory_;
    std::array<iovec, kBatch> parts_{};
    std::array<mmsghdr, kBatch> messages_{};
    unsigned count_ = 0;
};

[[noreturn]] void pass(int from, int to) {
    for (Batch batch;;) {
        batch.receive(from);
        batch.send(to);
    }
}

[[noreturn]] void pass_in(int socket, int tap) {
    for (Batch batch;;) {
        batch.receive(socket);
        batch.write(tap);
    }
}

[[noreturn]] void pass_out(int tap, int socket) {
    for (std::vector<char> frame(kMaxFrame);;) {
        const ssize_t size = ::read(tap, frame.data(), frame.size());
        if (size > 0) (void)::send(socket, frame.data(), static_cast<size_t>(size), 0);
    }
}

void write_text(const char* path, const std::string& text) {
    base::write_all(base::open_file(path, O_WRONLY).get(), text, path);
}

void enter_namespace() {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (::unshare(user == 0 ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER) < 0) base::throw_errno("cannot make a network namespace");
    if (user == 0) return;
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
    write_text("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
}

void ip(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "ip");
    const base::Finished done = base::run(arguments);
    if (done.code != 0) throw base::Error("ip: " + done.output);
}

base::UniqueFd make_tap(const std::string& address, const std::string& mtu) {
    base::UniqueFd tap = base::open_file("/dev/net/tun", O_RDWR);
    ifreq request{};
    std::strcpy(request.ifr_name, "tap0");
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (::ioctl(tap.get(), TUNSETIFF, &request) < 0) base::throw_errno("cannot make a tap");
    ip({"link", "set", "lo", "up"});
    ip({"link", "set", "tap0", "mtu", mtu, "up"});
    ip({"address", "add", address, "dev", "tap0"});
    return tap;
}

// Waits until the child has ended, or our input has. Returns the child's exit code.
int wait_for(base::Child child) {
    pollfd fds[] = {{child.pidfd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    while (::poll(fds, 2, -1) < 0) {
    }
    return fds[0].revents != 0 ? base::exit_code(child.wait()) : 0;
}

int stack(const std::string& address, const std::string& mtu, std::vector<std::string> command) {
    std::vector<base::UniqueFd> sockets;
    sockets.push_back(bind_socket());
    enter_namespace();
    const base::UniqueFd tap = make_tap(address, mtu);
    introduce(sockets);
    std::thread(pass_in, sockets[0].get(), tap.get()).detach();
    std::thread(pass_out, tap.get(), sockets[0].get()).detach();
    base::Command start;
    start.argv = std::move(command);
    start.environment = {"PATH=/usr/bin:/bin"};
    start.fds = {{STDOUT_FILENO, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
    const int code = wait_for(base::spawn(start));
    ::_exit(code);  // the threads use what would be closed
}

[[noreturn]] void join() {
    std::vector<base::UniqueFd> sockets;
    sockets.push_back(bind_socket());
    sockets.push_back(bind_socket());
    introduce(sockets);
    std::thread(pass, sockets[0].get(), sockets[1].get()).detach();
    std::thread(pass, sockets[1].get(), sockets[0].get()).detach();
    std::string rest;
    while (std::getline(std::cin, rest)) {
    }
    ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 2 && std::string(argv[1]) == "join") join();
        if (argc > 4 && std::string(argv[1]) == "stack") return stack(argv[2], argv[3], {argv + 4, argv + argc});
        throw base::Error("usage: bench_peer join | bench_peer stack ADDRESS MTU COMMAND ARG...");
    } catch (const std::exception& e) {
        (void)std::fprintf(stderr, "error: %s\n", e.what());
        return 1;
    }
}
