#include "vm/qmp.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "base/event.h"

namespace vm {
namespace asio = boost::asio;
using nlohmann::json;
namespace {

constexpr size_t kLineLimit = 64 << 10;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// A greeting or an answer that somebody waits for.
struct Pending {
    explicit Pending(const asio::any_io_executor& executor) : done(executor) {}
    base::Event done;
    std::optional<json> message;
};

// A command fits into the socket's buffer, which holds only other commands, so this does not block.
void send_line(int socket, const std::string& line, int fd) {
    iovec data{const_cast<char*>(line.data()), line.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) throw QmpError("QEMU does not listen: " + base::errno_text(errno));
    if (static_cast<size_t>(sent) != line.size()) throw QmpError("QEMU does not read its commands");
}

}  // namespace

class Qmp::State {
public:
    State(const asio::any_io_executor& executor, base::UniqueFd socket, Event event)
        : executor_(executor),
          socket_(executor, socket.release()),
          event_(std::move(event)),
          greeting_(std::make_shared<Pending>(executor)) {}

    static asio::awaitable<void> read(std::shared_ptr<State> self) {
        std::string buffer;
        auto dynamic = asio::dynamic_buffer(buffer, kLineLimit);
        for (;;) {
            const auto [error, size] = co_await asio::async_read_until(self->socket_, dynamic, '\n', kAwait);
            if (error) break;
            const json message = json::parse(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size), nullptr, false);
            buffer.erase(0, size);
            if (!message.is_object() || !self->take(message)) break;
        }
        self->close();
    }

    asio::awaitable<json> wait(std::shared_ptr<Pending> pending, std::string what) {
        if (!pending->message && !closed_) co_await pending->done.wait();
        if (!pending->message) throw QmpError("QEMU: " + what + ": the connection has ended");
        if (const auto error = pending->message->find("error"); error != pending->message->end()) {
            const auto text = error->is_object() ? error->find("desc") : error->end();
            throw QmpError("QEMU: " + what + ": " + (text != error->end() && text->is_string() ? text->get<std::string>() : error->dump()));
        }
        co_return *pending->message;
    }

    std::shared_ptr<Pending> send(const std::string& command, const json& arguments, int fd) {
        if (closed_) throw QmpError("QEMU: " + command + ": the connection has ended");
        auto pending = std::make_shared<Pending>(executor_);
        const uint64_t id = ++last_id_;
        send_line(socket_.native_handle(), json{{"execute", command}, {"arguments", arguments}, {"id", id}}.dump() + "\n", fd);
        commands_.emplace(id, pending);
        return pending;
    }

    void close() {
        closed_ = true;
        boost::system::error_code ignored;
        socket_.close(ignored);
        greeting_->done.notify();
        for (const auto& [id, pending] : std::exchange(commands_, {}))
            pending->done.notify();
        event_ = nullptr;
    }

    std::shared_ptr<Pending> greeting() const { return greeting_; }

private:
    // Returns false for a line that is not QMP.
    bool take(const json& message) {
        if (const auto name = message.find("event"); name != message.end()) {
            const auto data = message.find("data");
            if (!name->is_string()) return false;
            if (event_) event_(name->get<std::string>(), data != message.end() ? *data : json::object());
            return true;
        }
        if (message.contains("QMP")) return !greeting_->message && arrive(*greeting_, message);
        const auto id = message.find("id");
        if (id == message.end() || !id->is_number_unsigned()) return false;
        const auto node = commands_.extract(id->get<uint64_t>());
        return !node.empty() && arrive(*node.mapped(), message);
    }

    static bool arrive(Pending& pending, const json& message) {
        pending.message = message;
        pending.done.notify();
        return true;
    }

    asio::any_io_executor executor_;
    asio::posix::stream_descriptor socket_;
    Event event_;
    std::shared_ptr<Pending> greeting_;
    std::map<uint64_t, std::shared_ptr<Pending>> commands_;
    uint64_t last_id_ = 0;
    bool closed_ = false;
};

Qmp::Qmp(const asio::any_io_executor& executor, base::UniqueFd socket, Event event)
    : state_(std::make_shared<State>(executor, std::move(socket), std::move(event))) {
    asio::co_spawn(executor, State::read(state_), asio::detached);
}

Qmp::~Qmp() {  // NOLINT(bugprone-exception-escape): cancelling a timer does not throw
    state_->close();
}

asio::awaitable<void> Qmp::connect() {
    const std::shared_ptr<State> state = state_;
    co_await state->wait(state->greeting(), "greeting");
    co_await state->wait(state->send("qmp_capabilities", json::object(), -1), "qmp_capabilities");
}

asio::awaitable<json> Qmp::execute(std::string command, json arguments, int fd) {
    const std::shared_ptr<State> state = state_;
    const std::shared_ptr<Pending> pending = state->send(command, arguments, fd);
    const json message = co_await state->wait(pending, command);
    co_return message.value("return", json::object());
}

}  // namespace vm
