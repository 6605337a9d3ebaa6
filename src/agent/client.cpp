#include "agent/client.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "agent/frame.h"
#include "agent/log_filter.h"
#include "base/event.h"
#include "base/untrusted_text.h"

namespace agent {

namespace asio = boost::asio;
using asio::awaitable;

namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMaxErrorText = 8 << 10;
constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

// A coroutine that waits for the Ready or for a reply. `arrived` is notified when it has come, or will not come.
struct Waiter {
    explicit Waiter(const asio::any_io_executor& executor) : arrived(executor) {}
    base::Event arrived;
    bool done = false;
    Reply reply;
    uint64_t process = 0;  // of an Exec
};

struct Process {
    bool running = false;  // its Exec has been answered
    std::array<uint64_t, 2> credit{};
    size_t input = 0;  // bytes sent that it has not taken
};

}  // namespace

class Client::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, base::UniqueFd channel, Events events)
        : events_(std::move(events)), socket_(executor), ready_waiter_(executor) {
        socket_.assign(asio::local::stream_protocol(), channel.release());
    }

    static awaitable<void> read(std::shared_ptr<State> self);
    awaitable<Ready> ready(std::chrono::steady_clock::duration deadline);
    awaitable<Reply> request(Request request);
    void assume_ready() { ready_waiter_.done = true; }
    void grant(uint64_t process, Stream stream, uint32_t bytes);
    void input(uint64_t process, std::string_view data, bool end);
    size_t input_room(uint64_t process) const;
    void resize(uint64_t process, const Terminal& terminal);
    void close(const std::string& reason);

private:
    using Violation = std::optional<std::string>;  // how the guest broke the protocol

    void fail(const std::string& reason);
    void write();
    Violation take(const Message& message);
    Violation take_ready(const Ready& ready);
    Violation take_reply(const Reply& reply);
    Violation take_output(const Output& output);
    Violation take_exited(const Exited& exited);
    Violation take_input_taken(const InputTaken& taken);

    Events events_;
    asio::local::stream_protocol::socket socket_;
    FrameDecoder decoder_{kMaxMessageBytes};
    LogFilter log_filter_;

    Waiter ready_waiter_;
    Ready ready_;
    std::optional<std::string> closed_;  // why
    uint64_t last_id_ = 0;
    std::map<uint64_t, std::shared_ptr<Waiter>> requests_;
    std::map<uint64_t, Process> processes_;
    bool reply_taken_ = false;  // its waiter has been woken and has not run yet

    std::string outgoing_;
    std::string writing_;
    // Unwritten credits are added up, so a guest that sends single bytes and reads nothing costs no memory.
    std::map<std::pair<uint64_t, int>, uint32_t> grants_;
    std::map<uint64_t, Terminal> sizes_;  // unwritten, for the same reason
};

awaitable<void> Client::State::read(std::shared_ptr<State> self) {
    while (!self->closed_) {
        const std::span<char> space = self->decoder_.prepare(kReadBytes);
        const auto [error, size] = co_await self->socket_.async_read_some(asio::buffer(space.data(), space.size()), kQuietly);
        if (self->closed_) co_return;
        if (error) {
            self->fail(error == asio::error::eof ? "the VM closed the agent channel" : "the agent channel failed: " + error.message());
            co_return;
        }
        self->decoder_.commit(size);
        std::string_view payload;
        FrameDecoder::Found found{};
        while ((found = self->decoder_.next(payload)) == FrameDecoder::Found::frame) {
            Message message;
            if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
                self->fail("the VM's agent sent a message that cannot be decoded");
                co_return;
            }
            if (const Violation violation = self->take(message)) self->fail("the VM's agent " + *violation);
            if (self->closed_) co_return;
            // The waiter for a reply resumes before the next message is looked at.
            if (std::exchange(self->reply_taken_, false)) co_await asio::post(self->socket_.get_executor(), asio::use_awaitable);
            if (self->closed_) co_return;
        }
        if (found == FrameDecoder::Found::too_long) self->fail("the VM's agent sent a message longer than 128 KiB");
    }
}

Client::State::Violation Client::State::take(const Message& message) {
    if (message.kind_case() == Message::kReady) return take_ready(message.ready());
    if (!ready_waiter_.done) return "sent something before it was ready";
    switch (message.kind_case()) {
        case Message::kReply:
            return take_reply(message.reply());
        case Message::kOutput:
            return take_output(message.output());
        case Message::kExited:
            return take_exited(message.exited());
        case Message::kLog:
            if (const auto line = log_filter_.pass(message.log().text(), LogFilter::Clock::now()); line && events_.log) events_.log(*line);
            return std::nullopt;
        case Message::kLiving:
            if (events_.living) events_.living(message.living().any());
            return std::nullopt;
        case Message::kInputTaken:
            return take_input_taken(message.input_taken());
        default:
            return "sent a message of an unknown kind";
    }
}

Client::State::Violation Client::State::take_ready(const Ready& ready) {
    if (ready_waiter_.done) return "reported twice that it is ready";
    if (ready.version() != kProtocolVersion)
        return "speaks version " + std::to_string(ready.version()) + " of the protocol, not " + std::to_string(kProtocolVersion);
    ready_ = ready;
    ready_waiter_.done = true;
    ready_waiter_.arrived.notify();
    reply_taken_ = true;
    return std::nullopt;
}

Client::State::Violation Client::State::take_reply(const Reply& reply) {
    const auto found = requests_.find(reply.id());
    if (found == requests_.end()) return "answered a request that was not made";
    const std::shared_ptr<Waiter> waiter = std::move(found->second);
    requests_.erase(found);
    waiter->reply = reply;
    if (waiter->process != 0) {
        if (reply.has_error())
            processes_.erase(waiter->process);
        else
            processes_[waiter->process].running = true;
    }
    waiter->done = true;
    waiter->arrived.notify();
    reply_taken_ = true;
    return std::nullopt;
}

Client::State::Violation Client::State::take_output(const Output& output) {
    const auto process = processes_.find(output.process());
    if (process == processes_.end() || !process->second.running) return "sent output of a process that does not run";
    if (output.stream() != STDOUT && output.stream() != STDERR) return "sent output of an unknown stream";
    const size_t size = output.data().size();
    if (size == 0 || size > kMaxOutputBytes) return "sent output of a size that is not allowed";
    uint64_t& credit = process->second.credit.at(static_cast<size_t>(output.stream()));
    if (size > credit) return "sent more output than it was allowed to";
    credit -= size;
    if (events_.output) events_.output(output);
    return std::nullopt;
}

Client::State::Violation Client::State::take_exited(const Exited& exited) {
    const auto process = processes_.find(exited.process());
    if (process == processes_.end() || !process->second.running) return "reported the end of a process that does not run";
    processes_.erase(process);
    if (events_.exited) events_.exited(exited);
    return std::nullopt;
}

Client::State::Violation Client::State::take_input_taken(const InputTaken& taken) {
    const auto process = processes_.find(taken.process());
    if (process == processes_.end() || !process->second.running) return "took input for a process that does not run";
    if (taken.bytes() == 0 || taken.bytes() > process->second.input) return "took more input than it was sent";
    process->second.input -= taken.bytes();
    if (events_.input_taken) events_.input_taken(taken.process(), taken.bytes());
    return std::nullopt;
}

awaitable<Ready> Client::State::ready(std::chrono::steady_clock::duration deadline) {
    if (!ready_waiter_.done && !closed_) {
        co_await ready_waiter_.arrived.wait(deadline);
        if (!ready_waiter_.done && !closed_) {
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(deadline).count();
            throw ChannelError("the VM's agent was not ready within " + std::to_string(seconds) + " s");
        }
    }
    if (closed_) throw ChannelError(*closed_);
    co_return ready_;
}

awaitable<Reply> Client::State::request(Request request) {
    if (closed_) throw ChannelError(*closed_);
    if (request.ByteSizeLong() > kMaxRequestBytes - 16)  // room for the id
        throw GuestError(Error::BAD_REQUEST, "the request is longer than 4 MiB");
    const uint64_t id = ++last_id_;
    request.set_id(id);
    const auto waiter = std::make_shared<Waiter>(socket_.get_executor());
    if (request.has_exec()) {
        waiter->process = request.exec().process();
        processes_[waiter->process].credit = {request.exec().credit(), request.exec().credit()};
    }
    requests_[id] = waiter;
    append_frame(outgoing_, request);
    write();
    co_await waiter->arrived.wait();
    if (waiter->reply.has_error())
        throw GuestError(waiter->reply.error().code(), base::printable(waiter->reply.error().message(), kMaxErrorText));
    if (waiter->done) co_return waiter->reply;
    if (closed_) throw ChannelError(*closed_);
    throw boost::system::system_error(asio::error::operation_aborted);  // the waiter was cancelled
}

void Client::State::grant(uint64_t process, Stream stream, uint32_t bytes) {
    const auto found = processes_.find(process);
    if (closed_ || bytes == 0 || found == processes_.end()) return;
    found->second.credit.at(static_cast<size_t>(stream)) += bytes;
    grants_[{process, stream}] += bytes;
    write();
}

size_t Client::State::input_room(uint64_t process) const {
    const auto found = processes_.find(process);
    return found == processes_.end() ? 0 : kInputWindow - found->second.input;
}

void Client::State::input(uint64_t process, std::string_view data, bool end) {
    const auto found = processes_.find(process);
    if (closed_ || found == processes_.end() || (data.empty() && !end)) return;
    if (data.size() > input_room(process)) throw std::length_error("more input than the guest has room for");
    found->second.input += data.size();
    do {
        const std::string_view piece = data.substr(0, kMaxInputBytes);
        data.remove_prefix(piece.size());
        Request request;
        Input& input = *request.mutable_input();
        input.set_process(process);
        input.set_data(piece.data(), piece.size());
        input.set_end(end && data.empty());
        append_frame(outgoing_, request);
    } while (!data.empty());
    write();
}

void Client::State::resize(uint64_t process, const Terminal& terminal) {
    if (closed_ || !processes_.contains(process)) return;
    sizes_[process] = terminal;
    write();
}

// One write at a time; everything queued meanwhile goes into the next.
void Client::State::write() {
    if (closed_ || !writing_.empty()) return;
    for (const auto& [key, bytes] : grants_) {
        Request request;
        Credit& credit = *request.mutable_credit();
        credit.set_process(key.first);
        credit.set_stream(static_cast<Stream>(key.second));
        credit.set_bytes(bytes);
        append_frame(outgoing_, request);
    }
    grants_.clear();
    for (const auto& [process, terminal] : sizes_) {
        Request request;
        request.mutable_resize()->set_process(process);
        *request.mutable_resize()->mutable_terminal() = terminal;
        append_frame(outgoing_, request);
    }
    sizes_.clear();
    if (outgoing_.empty()) return;
    std::swap(outgoing_, writing_);
    const auto written = [self = shared_from_this()](const boost::system::error_code& error, size_t) {
        if (self->closed_) return;
        self->writing_.clear();
        if (error)
            self->fail("the agent channel failed: " + error.message());
        else
            self->write();
    };
    asio::async_write(socket_, asio::buffer(writing_), written);
}

void Client::State::close(const std::string& reason) {
    if (closed_) return;
    closed_ = reason;
    boost::system::error_code ignored;
    socket_.close(ignored);
    ready_waiter_.arrived.notify();
    for (const auto& [id, waiter] : requests_)
        waiter->arrived.notify();
    requests_.clear();
    processes_.clear();
}

void Client::State::fail(const std::string& reason) {
    if (closed_) return;
    close(reason);
    if (events_.closed) events_.closed(reason);
}

Client::Client(const asio::any_io_executor& executor, base::UniqueFd channel, Events events)
    : state_(std::make_shared<State>(executor, std::move(channel), std::move(events))) {
    asio::co_spawn(executor, State::read(state_), asio::detached);
}

Client::~Client() {
    try {
        close();
    } catch (const std::exception&) {
        return;  // no memory for its bookkeeping; the state's destructor closes the descriptor
    }
}

void Client::assume_ready() {
    state_->assume_ready();
}

awaitable<Ready> Client::ready(std::chrono::steady_clock::duration deadline) {
    return state_->ready(deadline);
}

awaitable<Reply> Client::request(Request request) {
    return state_->request(std::move(request));
}

void Client::grant(uint64_t process, Stream stream, uint32_t bytes) {
    state_->grant(process, stream, bytes);
}

void Client::input(uint64_t process, std::string_view data, bool end) {
    state_->input(process, data, end);
}

size_t Client::input_room(uint64_t process) const {
    return state_->input_room(process);
}

void Client::resize(uint64_t process, const Terminal& terminal) {
    state_->resize(process, terminal);
}

void Client::close() {
    state_->close("the agent channel was closed");
}

}  // namespace agent
