#include "debug/client.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "agent/frame.h"
#include "base/event.h"
#include "base/untrusted_text.h"

namespace debug {

namespace asio = boost::asio;
using agent::FrameDecoder;
using asio::awaitable;
using asio::local::stream_protocol;

namespace {

constexpr size_t kReadBytes = 128 << 10;
constexpr size_t kMaxErrorText = 8 << 10;
constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

// A connection, from which events are read as somebody asks for them.
struct Connection {
    explicit Connection(const asio::any_io_executor& executor) : socket(executor) {}
    stream_protocol::socket socket;
    FrameDecoder decoder{agent::kMaxMessageBytes};
    std::string name;  // for messages
};

awaitable<void> open(Connection& connection, const std::filesystem::path& path) {
    connection.name = base::printable(path.native(), kMaxErrorText);
    stream_protocol::endpoint endpoint;
    try {
        endpoint.path(path.native());
    } catch (const boost::system::system_error& e) {
        throw base::Error("cannot connect to " + connection.name + ": " + e.code().message());
    }
    const auto [error] = co_await connection.socket.async_connect(endpoint, kQuietly);
    if (error) throw base::Error("cannot connect to " + connection.name + ": " + error.message());
}

// Sends the first request. Where the peer has closed already, what it said before tells why.
awaitable<void> send_first(Connection& connection, const Request& request) {
    if (request.ByteSizeLong() > agent::kMaxRequestBytes)
        throw OperationError(Error::BAD_REQUEST, "the arguments and the environment are longer than 4 MiB");
    std::string frame;
    agent::append_frame(frame, request);
    const auto [error, size] = co_await asio::async_write(connection.socket, asio::buffer(frame), kQuietly);
    if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
}

// The next event; nothing at the connection's end.
awaitable<std::optional<Event>> receive(Connection& connection) {
    while (true) {
        std::string_view payload;
        switch (connection.decoder.next(payload)) {
            case FrameDecoder::Found::frame: {
                Event event;
                if (!event.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
                    throw base::Error(connection.name + " sent a message that cannot be decoded");
                co_return event;
            }
            case FrameDecoder::Found::too_long:
                throw base::Error(connection.name + " sent a message longer than 128 KiB");
            case FrameDecoder::Found::incomplete:
                break;
        }
        const std::span<char> space = connection.decoder.prepare(kReadBytes);
        const auto [error, size] = co_await connection.socket.async_read_some(asio::buffer(space.data(), space.size()), kQuietly);
        if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
        if (error) co_return std::nullopt;
        connection.decoder.commit(size);
    }
}

[[noreturn]] void throw_error(const debug::Error& error) {
    throw OperationError(error.code(), base::printable(error.message(), kMaxErrorText));
}

// Sends the first request of a new connection, and returns what it is answered with; nothing where the connection ends without.
awaitable<std::optional<Event>> ask(Connection& connection, const std::filesystem::path& socket, const Request& request) {
    co_await open(connection, socket);
    co_await send_first(connection, request);
    std::optional<Event> event = co_await receive(connection);
    if (event && event->has_error()) throw_error(event->error());
    co_return event;
}

[[noreturn]] void throw_ended(const Connection& connection) {
    throw base::Error("the VM behind " + connection.name + " has ended");
}

[[noreturn]] void throw_unexpected(const Connection& connection) {
    throw base::Error(connection.name + " sent a message that does not belong there");
}

}  // namespace

class Process::State : public std::enable_shared_from_this<State> {
public:
    explicit State(const asio::any_io_executor& executor) : connection(executor), changed_(executor) {}

    static awaitable<std::optional<Output>> next(std::shared_ptr<State> self);
    static awaitable<void> write(std::shared_ptr<State> self, std::string_view data);
    void send(const Request& request);
    void close();

    Connection connection;
    int exit_code = 0;

private:
    awaitable<std::optional<Output>> take();
    void write_out();
    void finish();
    bool over() const { return ended_ || failed_; }

    base::Event changed_;
    bool ended_ = false;   // its end has been reported
    bool failed_ = false;  // there is no VM any more, or nobody wants it
    bool deaf_ = false;    // the runtime takes no more requests; what it has said tells why
    size_t untaken_ = 0;   // bytes of input that are on their way
    std::string outgoing_;
    std::string writing_;
};

void Process::State::finish() {
    outgoing_.clear();
    changed_.notify();
}

awaitable<std::optional<Output>> Process::State::next(std::shared_ptr<State> self) {
    if (self->ended_) co_return std::nullopt;
    if (self->failed_) throw_ended(self->connection);
    try {
        co_return co_await self->take();
    } catch (const base::Error&) {
        self->failed_ = true;
        self->finish();
        throw;
    }
}

// The next output; nothing at the program's end.
awaitable<std::optional<Output>> Process::State::take() {
    while (true) {
        std::optional<Event> event = co_await receive(connection);
        if (failed_ || !event) throw_ended(connection);
        switch (event->kind_case()) {
            case Event::kOutput: {
                const size_t size = event->output().data().size();
                if (size == 0 || size > agent::kMaxOutputBytes)
                    throw base::Error(connection.name + " sent output of a size that is not allowed");
                co_return std::move(*event->mutable_output());
            }
            case Event::kInputTaken:
                if (event->input_taken().bytes() > untaken_) throw base::Error(connection.name + " took more input than it was sent");
                untaken_ -= event->input_taken().bytes();
                changed_.notify();
                break;
            case Event::kExited:
                exit_code = event->exited().code();
                ended_ = true;
                finish();
                co_return std::nullopt;
            case Event::kError:
                throw_error(event->error());
            default:
                throw_unexpected(connection);
        }
    }
}

awaitable<void> Process::State::write(std::shared_ptr<State> self, std::string_view data) {
    while (!data.empty() && !self->over()) {
        if (self->deaf_ || self->untaken_ == agent::kInputWindow) {
            co_await self->changed_.wait();
            continue;
        }
        const size_t size = std::min({data.size(), agent::kMaxInputBytes, agent::kInputWindow - self->untaken_});
        Request request;
        request.mutable_input()->set_data(data.data(), size);
        self->untaken_ += size;
        self->send(request);
        data.remove_prefix(size);
    }
    while (!self->over() && (self->deaf_ || !self->writing_.empty()))
        co_await self->changed_.wait();
    if (self->failed_) throw_ended(self->connection);
}

void Process::State::send(const Request& request) {
    if (over() || deaf_) return;
    agent::append_frame(outgoing_, request);
    write_out();
}

// One write at a time; everything queued meanwhile goes into the next.
void Process::State::write_out() {
    if (!writing_.empty() || outgoing_.empty()) return;
    std::swap(outgoing_, writing_);
    const auto written = [self = shared_from_this()](const boost::system::error_code& error, size_t) {
        self->writing_.clear();
        if (error) {
            self->deaf_ = true;
            self->outgoing_.clear();
        } else {
            self->write_out();
        }
        self->changed_.notify();
    };
    asio::async_write(connection.socket, asio::buffer(writing_), written);
}

void Process::State::close() {
    failed_ = !ended_;
    boost::system::error_code ignored;
    connection.socket.close(ignored);
    finish();
}

Process::Process(std::shared_ptr<State> state) : state_(std::move(state)) {}

Process::~Process() {
    try {
        state_->close();
    } catch (const std::exception&) {
        return;  // no memory for its bookkeeping; the state's destructor closes the descriptor
    }
}

awaitable<std::unique_ptr<Process>> Process::start(asio::any_io_executor executor, std::filesystem::path socket, Run run) {
    const auto state = std::make_shared<State>(executor);
    Connection& connection = state->connection;
    Request request;
    *request.mutable_run() = std::move(run);
    const std::optional<Event> event = co_await ask(connection, socket, request);
    if (!event) throw_ended(connection);
    if (!event->has_started()) throw_unexpected(connection);
    co_return std::unique_ptr<Process>(new Process(state));
}

awaitable<std::optional<Output>> Process::next() {
    return State::next(state_);
}

int Process::exit_code() const {
    return state_->exit_code;
}

awaitable<void> Process::write(std::string_view data) {
    return State::write(state_, data);
}

void Process::close_input() {
    Request request;
    request.mutable_input()->set_end(true);
    state_->send(request);
}

void Process::resize(uint32_t rows, uint32_t columns) {
    Request request;
    request.mutable_resize()->mutable_terminal()->set_rows(rows);
    request.mutable_resize()->mutable_terminal()->set_columns(columns);
    state_->send(request);
}

void Process::signal(int number) {
    Request request;
    request.mutable_signal()->set_signal(number);
    state_->send(request);
}

awaitable<Figures> measure(asio::any_io_executor executor, std::filesystem::path socket) {
    Connection connection(executor);
    Request request;
    request.mutable_measure();
    const std::optional<Event> event = co_await ask(connection, socket, request);
    if (!event) throw_ended(connection);
    if (!event->has_figures()) throw_unexpected(connection);
    co_return event->figures();
}

awaitable<void> stop(asio::any_io_executor executor, std::filesystem::path socket) {
    Connection connection(executor);
    Request request;
    request.mutable_stop();
    if (co_await ask(connection, socket, request)) throw_unexpected(connection);
}

}  // namespace debug
