#include "exeunit/server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <utility>

namespace exeunit {
namespace asio = boost::asio;
namespace {

constexpr size_t kReadSize = 64 << 10;

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr auto kNever = asio::steady_timer::time_point::max();

}  // namespace

class Server::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, base::UniqueFd input, base::UniqueFd output, ServerEvents events)
        : input_(executor, input.release()),
          output_(executor, output.release()),
          wake_(executor, kNever),
          idle_(executor, kNever),
          events_(std::move(events)) {}

    void start() {
        asio::co_spawn(
            input_.get_executor(), [self = shared_from_this()] { return self->read_loop(); }, asio::detached);
        asio::co_spawn(
            output_.get_executor(), [self = shared_from_this()] { return self->write_loop(); }, asio::detached);
    }

    void close() {
        events_ = {};
        broken_ = true;
        boost::system::error_code ignored;
        input_.close(ignored);
        output_.close(ignored);
        wake_.cancel(ignored);
    }

    void send(const ya_runtime_api::Response& response) {
        append_frame(answers_.emplace_back(), response);
        wake_.cancel();
    }

    Lanes& lanes() {
        wake_.cancel();
        return lanes_;
    }

    asio::awaitable<void> drained(std::chrono::steady_clock::duration limit) {
        if (broken_ || (!writing_ && answers_.empty() && lanes_.idle())) co_return;
        boost::system::error_code ignored;
        idle_.expires_after(limit);
        co_await idle_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }

private:
    // Reads until the end of the pipe; returns what broke, or nothing.
    asio::awaitable<std::string> read_requests() {
        Decoder decoder;
        for (;;) {
            const std::span<char> room = decoder.prepare(kReadSize);
            const auto [error, n] = co_await input_.async_read_some(asio::buffer(room.data(), room.size()), kQuietly);
            if (error == asio::error::eof) co_return decoder.at_frame_end() ? "" : "the supervisor's pipe ended in the middle of a frame";
            if (error) co_return "cannot read the supervisor's pipe: " + error.message();
            decoder.commit(n);
            try {
                for (ya_runtime_api::Request request; decoder.next(request);) {
                    if (events_.request) events_.request(std::move(request));
                    request.Clear();
                }
            } catch (const FrameError& e) {
                co_return std::string("the supervisor's pipe: ") + e.what();
            }
        }
    }

    asio::awaitable<void> read_loop() {
        const std::string reason = co_await read_requests();
        end(reason);
    }

    // The next frame to write and what is in it; false when nothing waits.
    bool take_next(std::string& frame, Lanes::Event& event) {
        if (!answers_.empty()) {
            frame = std::move(answers_.front());
            answers_.pop_front();
            event = {};
            return true;
        }
        if (auto next = lanes_.next()) {
            event = std::move(*next);
            ya_runtime_api::Response response;
            response.set_event(true);
            *response.mutable_status() = std::move(event.status);
            frame.clear();
            append_frame(frame, response);
            return true;
        }
        return false;
    }

    asio::awaitable<void> write_loop() {
        std::string frame;
        Lanes::Event event;
        while (!broken_) {
            writing_ = take_next(frame, event);
            boost::system::error_code error;
            if (!writing_) {
                idle_.cancel();
                wake_.expires_at(kNever);
                co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, error));
                continue;
            }
            co_await asio::async_write(output_, asio::buffer(frame), asio::redirect_error(asio::use_awaitable, error));
            if (error) {
                broken_ = true;
                end("cannot write to the supervisor's pipe: " + error.message());
            } else if (event.bytes > 0 && events_.written) {
                events_.written(event.pid, event.stream, event.bytes);
            }
        }
        idle_.cancel();
    }

    void end(const std::string& reason) {
        if (auto ended = std::exchange(events_.ended, nullptr)) ended(reason);
    }

    asio::posix::stream_descriptor input_;
    asio::posix::stream_descriptor output_;
    asio::steady_timer wake_;  // cancelled when something was queued
    asio::steady_timer idle_;  // cancelled when nothing waits any more
    ServerEvents events_;
    std::deque<std::string> answers_;
    Lanes lanes_;
    bool writing_ = false;
    bool broken_ = false;
};

Server::Server(const asio::any_io_executor& executor, base::UniqueFd input, base::UniqueFd output, ServerEvents events)
    : state_(std::make_shared<State>(executor, std::move(input), std::move(output), std::move(events))) {
    state_->start();
}

Server::~Server() {
    state_->close();
}

void Server::send(const ya_runtime_api::Response& response) {
    state_->send(response);
}

void Server::output(uint64_t pid, Stream stream, std::string data) {
    state_->lanes().output(pid, stream, std::move(data));
}

void Server::finish(ya_runtime_api::ProcessStatus status) {
    state_->lanes().finish(std::move(status));
}

asio::awaitable<void> Server::drained(std::chrono::steady_clock::duration limit) {
    return state_->drained(limit);
}

}  // namespace exeunit
