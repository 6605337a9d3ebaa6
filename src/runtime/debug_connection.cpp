#include "runtime/debug_connection.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/frame.h"
#include "base/error.h"
#include "base/event.h"
#include "exeunit/request_error.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
using Local = asio::local::stream_protocol;
using namespace std::chrono_literals;
namespace {

constexpr size_t kDebugRead = 128 << 10;
constexpr size_t kMaxDebugError = 8 << 10;
constexpr auto kFirstRequestLimit = 10s;

// Both protocols number the parts of init in the same way.
static_assert(static_cast<int>(debug::CONNECT) == agent::CONNECT && static_cast<int>(debug::TAR_CREATE) == agent::TAR_CREATE &&
              static_cast<int>(debug::TAR_EXTRACT) == agent::TAR_EXTRACT && static_cast<int>(debug::CHANGES) == agent::CHANGES &&
              static_cast<int>(debug::Builtin_MAX) == agent::Builtin_MAX);

// The peer broke the protocol.
class BrokenProtocol : public base::Error {
public:
    using base::Error::Error;
};

debug::Event error_event(debug::Error::Code code, const std::string& message) {
    debug::Event event;
    event.mutable_error()->set_code(code);
    event.mutable_error()->set_message(message.substr(0, kMaxDebugError));
    return event;
}

agent::Terminal size_of(const debug::Terminal& terminal) {
    for (const uint32_t length : {terminal.rows(), terminal.columns()}) {
        if (length == 0 || length > UINT16_MAX) throw BrokenProtocol("a terminal has 1 to 65535 rows and columns");
    }
    agent::Terminal size;
    size.set_rows(terminal.rows());
    size.set_columns(terminal.columns());
    return size;
}

// Shared with the process's events, which come as long as it runs.
class DebugConnection : public std::enable_shared_from_this<DebugConnection> {
public:
    DebugConnection(Local::socket socket, DebugHost host)
        : socket_(std::move(socket)), host_(std::move(host)), impatience_(socket_.get_executor()), written_(socket_.get_executor()) {}

    awaitable<void> serve();

private:
    struct Piece {
        agent::Stream stream;
        size_t bytes;
    };

    awaitable<void> answer();
    awaitable<void> run(const debug::Run& run);
    ProcessSpec spec_of(const debug::Run& run);
    ProcessEvents process_events();
    void take(const debug::Request& request);
    void take_input(const debug::Input& input);
    awaitable<void> end_process();
    void forward(agent::Stream stream, std::string data);
    void report_end(int code);
    void give_back(const std::vector<Piece>& pieces);
    void send(const debug::Event& event);
    void write();
    awaitable<std::optional<debug::Request>> next();

    Local::socket socket_;
    DebugHost host_;
    asio::steady_timer impatience_;  // with a peer that asks for nothing
    agent::FrameDecoder decoder_{agent::kMaxRequestBytes};
    std::string outgoing_;
    std::string writing_;
    std::vector<Piece> unwritten_;  // the program's output in `outgoing_`
    uint32_t taken_ = 0;            // bytes of input that the peer has not been told of: one number, however slowly it reads
    base::Event written_;
    uint64_t pid_ = 0;
    size_t untaken_ = 0;  // bytes of input that the program has not taken
    bool input_ = false;  // it takes input
    bool terminal_ = false;
    bool exited_ = false;
    bool over_ = false;    // the peer gets nothing more of the program
    bool failed_ = false;  // nothing can be sent any more
};

awaitable<void> DebugConnection::serve() {
    try {
        co_await answer();
    } catch (const agent::GuestError& e) {
        send(error_event(static_cast<debug::Error::Code>(e.code()), e.what()));
    } catch (const exeunit::RequestError& e) {
        send(error_event(debug::Error::BAD_REQUEST, e.what()));
    } catch (const BrokenProtocol& e) {
        send(error_event(debug::Error::BAD_REQUEST, e.what()));
    } catch (const std::exception& e) {
        send(error_event(debug::Error::INTERNAL, e.what()));
    }
    over_ = true;
    if (pid_ != 0 && !exited_) co_await end_process();
    while (!failed_ && !(outgoing_.empty() && writing_.empty()))
        co_await written_.wait();
    failed_ = true;
    impatience_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);  // a program that outlives its SIGHUP keeps this object
}

awaitable<void> DebugConnection::answer() {
    impatience_.expires_after(kFirstRequestLimit);
    impatience_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
        boost::system::error_code ignored;
        if (!error) self->socket_.shutdown(Local::socket::shutdown_receive, ignored);  // wakes `next`
    });
    const std::optional<debug::Request> request = co_await next();
    impatience_.cancel();
    if (!request) throw BrokenProtocol("no request came");
    switch (request->kind_case()) {
        case debug::Request::kRun:
            co_await host_.up();
            co_await run(request->run());
            break;
        case debug::Request::kMeasure: {
            co_await host_.up();
            debug::Event event;
            *event.mutable_figures() = co_await host_.measure();
            send(event);
            break;
        }
        case debug::Request::kStop:
            host_.stop();
            while (co_await next())  // the VM's end closes the connection
                ;
            break;
        default:
            throw BrokenProtocol("a connection begins with Run, Measure or Stop");
    }
}

// Runs a program, and serves its requests until it has ended or the peer has gone.
awaitable<void> DebugConnection::run(const debug::Run& run) {
    ProcessSpec spec = spec_of(run);
    pid_ = co_await host_.session.start_process(std::move(spec));
    debug::Event started;
    started.mutable_started();
    send(started);
    while (!exited_) {
        const std::optional<debug::Request> request = co_await next();
        if (!request) break;
        if (!exited_) take(*request);
    }
}

ProcessSpec DebugConnection::spec_of(const debug::Run& run) {
    terminal_ = run.has_terminal();
    input_ = run.input() || terminal_;
    if (!debug::Builtin_IsValid(run.builtin())) throw BrokenProtocol("there is no such part of init");
    if (run.bin().empty() == (run.builtin() == debug::NO_BUILTIN)) throw BrokenProtocol("a Run names a program or a part of init");
    ProcessSpec spec{.bin = run.bin(), .args = {run.args().begin(), run.args().end()}, .work_dir = run.work_dir()};
    spec.input = input_;
    if (terminal_) spec.terminal = size_of(run.terminal());
    spec.env = {run.env().begin(), run.env().end()};
    spec.user = run.user();
    spec.builtin = static_cast<agent::Builtin>(run.builtin());
    spec.events = process_events();
    return spec;
}

ProcessEvents DebugConnection::process_events() {
    ProcessEvents events;
    events.output = [self = shared_from_this()](uint64_t, agent::Stream stream, std::string data) {
        self->forward(stream, std::move(data));
    };
    events.ended = [self = shared_from_this()](const ProcessEnd& end) { self->report_end(end.code); };
    events.input_taken = [self = shared_from_this()](uint64_t, uint32_t bytes) {
        self->untaken_ -= std::min<size_t>(bytes, self->untaken_);
        self->taken_ += bytes;
        self->write();
    };
    return events;
}

void DebugConnection::take(const debug::Request& request) {
    switch (request.kind_case()) {
        case debug::Request::kInput:
            return take_input(request.input());
        case debug::Request::kResize:
            if (!terminal_) throw BrokenProtocol("the program has no terminal");
            return host_.session.resize(pid_, size_of(request.resize().terminal()));
        case debug::Request::kSignal: {
            const int signal = request.signal().signal();
            if (signal < 1 || signal > SIGRTMAX) throw BrokenProtocol(std::to_string(signal) + " is not a signal");
            const auto ended_already = [](const std::exception_ptr&) {};
            return asio::co_spawn(socket_.get_executor(), host_.session.kill(pid_, signal), ended_already);
        }
        default:
            throw BrokenProtocol("Input, Resize or Signal follow a Run");
    }
}

void DebugConnection::take_input(const debug::Input& input) {
    if (!input_) throw BrokenProtocol("the program takes no input, or its end was sent before");
    const size_t size = input.data().size();
    if (size > agent::kMaxInputBytes) throw BrokenProtocol("an Input is longer than 64 KiB");
    if (size > agent::kInputWindow - untaken_) throw BrokenProtocol("more than 256 KiB of input were sent that the program has not taken");
    untaken_ += size;
    input_ = !input.end();
    host_.session.input(pid_, input.data(), input.end());
}

// Nobody waits for the program's output any more, so that it can end.
awaitable<void> DebugConnection::end_process() {
    if (!failed_) write();
    try {
        co_await host_.session.kill(pid_, terminal_ ? SIGHUP : SIGKILL);
    } catch (const base::Error&) {  // it has ended
    }
}

void DebugConnection::forward(agent::Stream stream, std::string data) {
    if (over_ || failed_) return give_back({{.stream = stream, .bytes = data.size()}});
    unwritten_.push_back({.stream = stream, .bytes = data.size()});
    debug::Event event;
    event.mutable_output()->set_stream(stream == agent::STDOUT ? debug::STDOUT : debug::STDERR);
    event.mutable_output()->set_data(std::move(data));
    send(event);
}

void DebugConnection::report_end(int code) {
    exited_ = true;
    if (over_) return;
    debug::Event event;
    event.mutable_exited()->set_code(code);
    send(event);
    boost::system::error_code ignored;
    socket_.shutdown(Local::socket::shutdown_receive, ignored);  // wakes `next`
}

void DebugConnection::give_back(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces)
        host_.session.taken(pid_, piece.stream, piece.bytes);
}

void DebugConnection::send(const debug::Event& event) {
    if (failed_) return;
    agent::append_frame(outgoing_, event);
    write();
}

// One write at a time. A program may go on once the peer has what it printed before.
void DebugConnection::write() {
    if (failed_ || !writing_.empty()) return;
    if (taken_ > 0 && !over_ && !exited_) {
        debug::Event event;
        event.mutable_input_taken()->set_bytes(std::exchange(taken_, 0));
        agent::append_frame(outgoing_, event);
    }
    if (outgoing_.empty()) return written_.notify();
    std::swap(outgoing_, writing_);
    const auto written = [self = shared_from_this(), sent = std::exchange(unwritten_, {})](const boost::system::error_code& error, size_t) {
        self->writing_.clear();
        self->give_back(sent);
        if (!error) return self->write();
        self->failed_ = true;
        self->give_back(std::exchange(self->unwritten_, {}));
        self->outgoing_.clear();
        boost::system::error_code ignored;
        self->socket_.shutdown(Local::socket::shutdown_both, ignored);  // wakes `next`
        self->written_.notify();
    };
    asio::async_write(socket_, asio::buffer(writing_), written);
}

// Nothing at the end of the connection.
awaitable<std::optional<debug::Request>> DebugConnection::next() {
    while (true) {
        std::string_view payload;
        const auto found = decoder_.next(payload);
        if (found == agent::FrameDecoder::Found::too_long) throw BrokenProtocol("a request is longer than 4 MiB");
        if (found == agent::FrameDecoder::Found::frame) {
            debug::Request request;
            if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
                throw BrokenProtocol("a request cannot be decoded");
            co_return request;
        }
        const std::span<char> space = decoder_.prepare(kDebugRead);
        const auto [error, size] =
            co_await socket_.async_read_some(asio::buffer(space.data(), space.size()), asio::as_tuple(asio::use_awaitable));
        if (error) co_return std::nullopt;
        decoder_.commit(size);
    }
}

}  // namespace

awaitable<void> serve_debug_connection(Local::socket socket, DebugHost host) {
    const auto connection = std::make_shared<DebugConnection>(std::move(socket), std::move(host));
    co_await connection->serve();
}

void refuse_debug_connection(Local::socket socket, const std::string& reason) {
    std::string frame;
    agent::append_frame(frame, error_event(debug::Error::BAD_REQUEST, reason));
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(frame), ignored);
}

}  // namespace runtime
