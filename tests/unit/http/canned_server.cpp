#include "canned_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/error.h"

namespace http_test {
namespace {

constexpr size_t kMaxHead = 64 << 10;

// Also takes the body, where there is one, off the connection.
std::string read_head(int fd) {
    std::string text;
    char block[4096];
    const auto more = [&] {
        const ssize_t n = ::recv(fd, block, sizeof block, 0);
        text.append(block, static_cast<size_t>(std::max<ssize_t>(n, 0)));
        return n > 0;
    };
    while (text.find("\r\n\r\n") == std::string::npos && text.size() < kMaxHead && more()) {
    }
    const size_t head = std::min(text.size(), text.find("\r\n\r\n") + 4);
    size_t body = 0;
    if (const size_t length = text.find("Content-Length: "); length < head) body = std::stoul(text.substr(length + 16));
    while (text.size() < head + body && more()) {
    }
    return text.substr(0, head);
}

}  // namespace

CannedServer::CannedServer(std::function<void(const std::string&, int)> answer)
    : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) < 0 || ::listen(listener_.get(), 64) < 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0)
        base::throw_errno("cannot listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
}

CannedServer::~CannedServer() {
    stop_ = true;
    thread_.join();
}

std::string CannedServer::url() const {
    return "http://127.0.0.1:" + std::to_string(port_);
}

std::vector<std::string> CannedServer::requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void CannedServer::serve() {
    constexpr int kTick = 20;  // ms, to see stop_
    while (!stop_) {
        pollfd ready{listener_.get(), POLLIN, 0};
        if (::poll(&ready, 1, kTick) != 1) continue;
        const base::UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection) continue;
        const timeval patience{5, 0};
        (void)::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        (void)::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        const std::string head = read_head(connection.get());
        if (head.empty()) continue;
        {
            const std::lock_guard lock(mutex_);
            requests_.push_back(head);
        }
        answer_(head, connection.get());
    }
}

void put(int fd, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
        if (n <= 0) return;
        done += static_cast<size_t>(n);
    }
}

std::string answer(const std::string& body, const std::string& headers, const std::string& status) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n" + headers + "\r\n" +
           body;
}

}  // namespace http_test
