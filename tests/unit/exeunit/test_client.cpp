#include "exeunit/client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <csignal>
#include <future>
#include <vector>

namespace exeunit {
namespace {
namespace asio = boost::asio;
using namespace std::chrono_literals;

// The client, and the runtime's end of its pipes in the test's hands.
class ClientTest : public testing::Test {
protected:
    void SetUp() override {
        (void)std::signal(SIGPIPE, SIG_IGN);
        auto [input, input_peer] = base::socket_pair();
        auto [output, output_peer] = base::socket_pair();
        requests_ = std::move(input_peer);
        answers_ = std::move(output_peer);
        Events events;
        events.stray_status = [this](const api::ProcessStatus& status) { stray_.push_back(status.pid()); };
        events.closed = [this](const std::string& reason) { closed_.push_back(reason); };
        client_ = std::make_unique<Client>(io_.get_executor(), std::move(input), std::move(output), std::move(events));
    }

    template <typename T>
    std::future<T> begin(asio::awaitable<T> work) {
        auto future = asio::co_spawn(io_, std::move(work), asio::use_future);
        io_.poll();
        return future;
    }

    template <typename T>
    T end(std::future<T>& future) {
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (future.wait_for(0s) != std::future_status::ready && std::chrono::steady_clock::now() < deadline)
            io_.run_one_for(100ms);
        if (future.wait_for(0s) != std::future_status::ready) throw std::runtime_error("no answer");
        return future.get();
    }

    void until(const std::function<bool()>& condition) {
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (!condition() && std::chrono::steady_clock::now() < deadline)
            io_.run_one_for(100ms);
        ASSERT_TRUE(condition());
    }

    api::Request next_request() {
        api::Request request;
        while (!decoder_.next(request)) {
            const std::span<char> room = decoder_.prepare(4096);
            const ssize_t n = ::read(requests_.get(), room.data(), room.size());
            if (n <= 0) throw std::runtime_error("no request");
            decoder_.commit(static_cast<size_t>(n));
        }
        return request;
    }

    void answer(const api::Response& response) {
        std::string frame;
        append_frame(frame, response);
        base::write_all(answers_.get(), frame, "the pipe");
    }

    void status(uint64_t pid, bool running, const std::string& out) {
        api::Response response;
        response.set_event(true);
        response.mutable_status()->set_pid(pid);
        response.mutable_status()->set_running(running);
        response.mutable_status()->set_stdout(out);
        answer(response);
    }

    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    base::UniqueFd requests_;
    base::UniqueFd answers_;
    Decoder decoder_;
    std::vector<uint64_t> stray_;
    std::vector<std::string> closed_;
    std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, AnswersFindTheirRequestsInAnyOrder) {
    auto hello = begin(client_->hello());
    auto kill = begin(client_->kill(7, 15));
    const api::Request first = next_request();
    const api::Request second = next_request();
    ASSERT_TRUE(first.has_hello());
    ASSERT_TRUE(second.has_kill());
    EXPECT_EQ(second.kill().pid(), 7);
    EXPECT_EQ(second.kill().signal(), 15);
    EXPECT_NE(first.id(), second.id());
    api::Response response;
    response.set_id(second.id());
    response.mutable_error()->set_code(api::Error::NOT_FOUND);
    response.mutable_error()->set_message("no process 7");
    answer(response);
    response.set_id(first.id());
    response.mutable_hello()->set_version("1.2.3");
    answer(response);
    EXPECT_EQ(end(hello), "1.2.3");
    try {
        end(kill);
        FAIL() << "the error is lost";
    } catch (const ResponseError& e) {
        EXPECT_EQ(e.code(), api::Error::NOT_FOUND);
        EXPECT_STREQ(e.what(), "no process 7");
    }
}

TEST_F(ClientTest, StatusesGoToTheirProcess) {
    std::string first;
    std::string second;
    auto run1 = begin(client_->run({}, [&](const api::ProcessStatus& s) { first += s.running() ? s.stdout() : "."; }));
    auto run2 = begin(client_->run({}, [&](const api::ProcessStatus& s) { second += s.running() ? s.stdout() : "."; }));
    api::Response response;
    response.set_id(next_request().id());
    response.mutable_run()->set_pid(1);
    answer(response);
    status(1, true, "a");
    response.set_id(next_request().id());
    response.mutable_run()->set_pid(2);
    answer(response);
    status(2, true, "b");
    status(1, true, "c");
    status(1, false, "");
    status(2, false, "");
    EXPECT_EQ(end(run1), 1);
    EXPECT_EQ(end(run2), 2);
    until([&] { return second.ends_with('.'); });
    EXPECT_EQ(first, "ac.");
    EXPECT_EQ(second, "b.");
    EXPECT_TRUE(stray_.empty());
}

TEST_F(ClientTest, StatusAfterTheLastAndOfNobodyIsStray) {
    status(0, true, "start output");
    until([&] { return stray_ == std::vector<uint64_t>{0}; });
}

TEST_F(ClientTest, EndOfTheRuntimeFailsWhatWaits) {
    auto hello = begin(client_->hello());
    answers_.reset();
    EXPECT_THROW(end(hello), PipeError);
    EXPECT_EQ(closed_, std::vector<std::string>{"the runtime closed its output"});
    auto later = begin(client_->hello());
    EXPECT_THROW(end(later), PipeError);
}

TEST_F(ClientTest, CutFrameIsTold) {
    base::write_all(answers_.get(), "\x05\x08", "the pipe");
    answers_.reset();
    until([&] { return !closed_.empty(); });
    EXPECT_EQ(closed_[0], "the runtime's output ends in the middle of a message");
}

TEST_F(ClientTest, HostileRuntimeEndsTheSession) {
    base::write_all(answers_.get(), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "the pipe");
    until([&] { return !closed_.empty(); });
    EXPECT_EQ(closed_[0], "the runtime's output is broken: bad frame: its length does not fit 64 bits");
}

TEST_F(ClientTest, AnswerThatNobodyWaitsForEndsTheSession) {
    api::Response response;
    response.set_id(99);
    response.mutable_hello();
    answer(response);
    until([&] { return !closed_.empty(); });
    EXPECT_EQ(closed_[0], "the runtime's output is broken: an answer to request 99, which waits for none");
}

TEST_F(ClientTest, ClosesItsInputAfterWhatWasSent) {
    client_->send_raw("abc");
    client_->close_input();
    io_.poll();
    char bytes[16];
    EXPECT_EQ(::read(requests_.get(), bytes, sizeof bytes), 3);
    EXPECT_EQ(::read(requests_.get(), bytes, sizeof bytes), 0);
}

TEST_F(ClientTest, DoesNotReadWhileToldNotTo) {
    io_.poll();
    client_->set_reading(false);
    status(0, true, "first");  // the read that is under way takes this one
    until([&] { return stray_.size() == 1; });
    status(0, true, "second");
    io_.run_for(100ms);
    EXPECT_EQ(stray_.size(), 1);
    client_->set_reading(true);
    until([&] { return stray_.size() == 2; });
}

}  // namespace
}  // namespace exeunit
