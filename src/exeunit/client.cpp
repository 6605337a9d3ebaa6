#include "exeunit/client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <map>
#include <optional>
#include <utility>

#include "base/event.h"

namespace exeunit {
namespace asio = boost::asio;
namespace {

// A request that waits for its answer.
struct Pending {
    explicit Pending(const asio::any_io_executor& executor) : done(executor) {}

    base::Event done;  // the answer is there, or will not come
    std::optional<api::Response> response;
    StatusHandler status;  // of a run: takes the statuses from the answer on
};

}  // namespace

class Client::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, base::UniqueFd input, base::UniqueFd output, Events events)
        : executor_(executor),
          input_(executor, input.release()),
          output_(executor, output.release()),
          resumed_(executor),
          events_(std::move(events)) {}

    void start() { asio::co_spawn(executor_, read_loop(shared_from_this()), asio::detached); }

    void send(const std::string& bytes) {
        queued_ += bytes;
        wake_writer();
    }

    void close_input() {
        input_ends_ = true;
        wake_writer();
    }

    void set_reading(bool reading) {
        reading_ = reading;
        resumed_.notify();
    }

    void close() {
        events_ = {};
        fail("the pipe was closed");
        boost::system::error_code ignored;
        input_.close(ignored);
        output_.close(ignored);
        resumed_.notify();
    }

    asio::awaitable<api::Response> request(api::Request request, StatusHandler status) {
        const auto self = shared_from_this();
        if (!failure_.empty()) throw PipeError(failure_);
        const uint64_t id = ++last_id_;
        request.set_id(id);
        const auto pending = std::make_shared<Pending>(executor_);
        pending->status = std::move(status);
        pending_.emplace(id, pending);
        std::string frame;
        append_frame(frame, request);
        send(frame);
        while (!pending->response && failure_.empty())
            co_await pending->done.wait();
        if (!pending->response) throw PipeError(failure_);
        if (pending->response->has_error()) throw ResponseError(pending->response->error().code(), pending->response->error().message());
        co_return std::move(*pending->response);
    }

private:
    static asio::awaitable<void> read_loop(std::shared_ptr<State> self) {
        std::string reason;
        try {
            reason = co_await self->read_to_end();
        } catch (const FrameError& e) {
            reason = std::string("the runtime's output is broken: ") + e.what();
        }
        self->fail(reason);
    }

    // Returns the reason once there is nothing more to read.
    asio::awaitable<std::string> read_to_end() {
        Decoder decoder;
        api::Response response;
        boost::system::error_code error;
        for (;;) {
            while (!reading_ && output_.is_open())
                co_await resumed_.wait();
            const std::span<char> room = decoder.prepare(kReadSize);
            const auto buffer = asio::buffer(room.data(), room.size());
            const size_t size = co_await output_.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
            if (error == asio::error::eof) break;
            if (error) co_return "cannot read from the runtime: " + error.message();
            decoder.commit(size);
            while (decoder.next(response))
                take(response);
        }
        co_return decoder.at_frame_end() ? "the runtime closed its output" : "the runtime's output ends in the middle of a message";
    }

    void take(api::Response& response) {
        if (response.event()) {
            take_event(response);
            return;
        }
        const auto found = pending_.find(response.id());
        if (found == pending_.end()) throw FrameError("an answer to request " + std::to_string(response.id()) + ", which waits for none");
        const auto pending = found->second;
        pending_.erase(found);
        // Set here and not when the request resumes: the next frame may be this process's first status.
        if (response.has_run() && pending->status) processes_[response.run().pid()] = std::move(pending->status);
        pending->response = std::move(response);
        pending->done.notify();
    }

    void take_event(const api::Response& response) {
        if (response.has_rt_status() && events_.runtime_status) events_.runtime_status(response.rt_status());
        if (!response.has_status()) return;
        const api::ProcessStatus& status = response.status();
        const auto found = processes_.find(status.pid());
        if (found == processes_.end()) {
            if (events_.stray_status) events_.stray_status(status);
            return;
        }
        if (status.running()) {
            found->second(status);
            return;
        }
        const StatusHandler handler = std::move(found->second);
        processes_.erase(found);
        handler(status);
    }

    void fail(const std::string& reason) {
        if (!failure_.empty()) return;
        failure_ = reason;
        for (const auto& [id, pending] : std::exchange(pending_, {}))
            pending->done.notify();
        processes_.clear();
        if (events_.closed) events_.closed(reason);
    }

    void wake_writer() {
        if (writing_) return;
        writing_ = true;
        asio::co_spawn(executor_, write_loop(shared_from_this()), asio::detached);
    }

    // Ends when nothing is left to write. A runtime that stops reading also closes its output or exits, which the reader reports.
    static asio::awaitable<void> write_loop(std::shared_ptr<State> self) {
        boost::system::error_code error;
        while (!self->queued_.empty() && !error) {
            const std::string bytes = std::exchange(self->queued_, {});
            const auto buffer = asio::buffer(bytes);
            co_await asio::async_write(self->input_, buffer, asio::redirect_error(asio::use_awaitable, error));
        }
        self->writing_ = false;
        if (self->input_ends_ || error) self->input_.close(error);
    }

    asio::any_io_executor executor_;
    asio::posix::stream_descriptor input_;
    asio::posix::stream_descriptor output_;
    base::Event resumed_;  // reading_ was set, or the pipe was closed
    Events events_;
    std::map<uint64_t, std::shared_ptr<Pending>> pending_;
    std::map<uint64_t, StatusHandler> processes_;
    std::string queued_;
    std::string failure_;  // why the pipe is useless; empty while it works
    uint64_t last_id_ = 0;
    bool reading_ = true;
    bool writing_ = false;
    bool input_ends_ = false;
};

Client::Client(const asio::any_io_executor& executor, base::UniqueFd input, base::UniqueFd output, Events events)
    : state_(std::make_shared<State>(executor, std::move(input), std::move(output), std::move(events))) {
    state_->start();
}

// Only a lack of memory could throw here.
Client::~Client() {  // NOLINT(bugprone-exception-escape)
    state_->close();
}

asio::awaitable<api::Response> Client::request(api::Request request) {
    return state_->request(std::move(request), {});
}

asio::awaitable<std::string> Client::hello(std::string version) {
    api::Request request;
    request.mutable_hello()->set_version(std::move(version));
    const api::Response response = co_await state_->request(std::move(request), {});
    if (!response.has_hello()) throw PipeError("hello was answered with something else");
    co_return response.hello().version();
}

asio::awaitable<uint64_t> Client::run(api::RunProcess process, StatusHandler status) {
    api::Request request;
    *request.mutable_run() = std::move(process);
    const api::Response response = co_await state_->request(std::move(request), std::move(status));
    if (!response.has_run()) throw PipeError("run was answered with something else");
    co_return response.run().pid();
}

asio::awaitable<void> Client::kill(uint64_t pid, int signal) {
    api::Request request;
    request.mutable_kill()->set_pid(pid);
    request.mutable_kill()->set_signal(signal);
    const api::Response response = co_await state_->request(std::move(request), {});
    if (!response.has_kill()) throw PipeError("kill was answered with something else");
}

asio::awaitable<api::NetworkEndpoint> Client::network(api::CreateNetwork network) {
    api::Request request;
    *request.mutable_network() = std::move(network);
    const api::Response response = co_await state_->request(std::move(request), {});
    if (!response.has_network()) throw PipeError("network was answered with something else");
    co_return response.network();
}

asio::awaitable<void> Client::shutdown() {
    api::Request request;
    request.mutable_shutdown();
    const api::Response response = co_await state_->request(std::move(request), {});
    if (!response.has_shutdown()) throw PipeError("shutdown was answered with something else");
}

void Client::send_raw(const std::string& bytes) {
    state_->send(bytes);
}

void Client::close_input() {
    state_->close_input();
}

void Client::set_reading(bool reading) {
    state_->set_reading(reading);
}

}  // namespace exeunit
