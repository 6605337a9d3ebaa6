#include "exeunit/server.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <utility>

#include "base/event.h"

namespace exeunit {
namespace asio = boost::asio;

class Server::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, base::UniqueFd input, base::UniqueFd output, ServerEvents events)
        : input_(executor, input.release()), output_(executor, output.release()), idle_(executor), events_(std::move(events)) {}

    void start() { read(); }

    void close() {
        events_ = {};
        closed_ = true;
        input_.close(ignored_);
        output_.close(ignored_);
        idle_.notify();
    }

    void send(const ya_runtime_api::Response& response) {
        append_frame(answers_.emplace_back(), response);
        write();
    }

    void output(uint64_t pid, Stream stream, std::string data) {
        lanes_.output(pid, stream, std::move(data));
        write();
    }

    void finish(ya_runtime_api::ProcessStatus status) {
        lanes_.finish(std::move(status));
        write();
    }

    asio::awaitable<void> drained(std::chrono::steady_clock::duration limit) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (writing_ && !broken_ && !closed_ && std::chrono::steady_clock::now() < deadline)
            co_await idle_.wait(deadline - std::chrono::steady_clock::now());
    }

private:
    // Callbacks, not coroutines: clang-tidy's analyzer reports Boost.Asio's coroutine frames here.
    void read() {
        const std::span<char> room = decoder_.prepare(kReadSize);
        input_.async_read_some(asio::buffer(room.data(), room.size()),
                               [self = shared_from_this()](const boost::system::error_code& error, size_t size) {
                                   if (self->closed_) return;
                                   const auto reason = self->take(error, size);
                                   if (reason)
                                       self->end(*reason);
                                   else
                                       self->read();
                               });
    }

    // Handles what was read. Returns the reason why reading ends, or nothing.
    std::optional<std::string> take(const boost::system::error_code& error, size_t size) {
        if (error == asio::error::eof) return decoder_.at_frame_end() ? "" : "the supervisor's pipe ended in the middle of a frame";
        if (error) return "cannot read the supervisor's pipe: " + error.message();
        decoder_.commit(size);
        try {
            for (ya_runtime_api::Request request; decoder_.next(request); request.Clear()) {
                if (events_.request) events_.request(std::move(request));
            }
        } catch (const FrameError& e) {
            return std::string("the supervisor's pipe: ") + e.what();
        }
        return std::nullopt;
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

    // Writes frame after frame while there are any. Called after each change that may add one.
    void write() {
        if (writing_ || closed_ || broken_) return;
        writing_ = take_next(frame_, event_);
        if (!writing_) {
            idle_.notify();
            return;
        }
        asio::async_write(output_, asio::buffer(frame_), [self = shared_from_this()](const boost::system::error_code& error, size_t) {
            if (!self->closed_) self->written(error);
        });
    }

    void written(const boost::system::error_code& error) {
        writing_ = false;
        if (error) {
            broken_ = true;
            idle_.notify();
            end("cannot write to the supervisor's pipe: " + error.message());
            return;
        }
        if (event_.bytes > 0 && events_.written) events_.written(event_.pid, event_.stream, event_.bytes);
        write();
    }

    void end(const std::string& reason) {
        if (auto ended = std::exchange(events_.ended, nullptr)) ended(reason);
    }

    asio::posix::stream_descriptor input_;
    asio::posix::stream_descriptor output_;
    base::Event idle_;  // nothing is left to write, or nothing can be written
    ServerEvents events_;
    std::deque<std::string> answers_;
    Lanes lanes_;
    Decoder decoder_;
    std::string frame_;   // that is being written
    Lanes::Event event_;  // and what is in it
    boost::system::error_code ignored_;
    bool writing_ = false;
    bool broken_ = false;  // the output
    bool closed_ = false;
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
    state_->output(pid, stream, std::move(data));
}

void Server::finish(ya_runtime_api::ProcessStatus status) {
    state_->finish(std::move(status));
}

asio::awaitable<void> Server::drained(std::chrono::steady_clock::duration limit) {
    return state_->drained(limit);
}

}  // namespace exeunit
