#include "exeunit/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>

#include "base/error.h"

namespace {

namespace api = ya_runtime_api;
using exeunit::Stream;
using namespace std::chrono_literals;

std::pair<base::UniqueFd, base::UniqueFd> make_pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) < 0) base::throw_errno("cannot make a pipe");
    return {base::UniqueFd(fds[0]), base::UniqueFd(fds[1])};
}

class ServerTest : public testing::Test {
protected:
    ServerTest() {
        (void)std::signal(SIGPIPE, SIG_IGN);
        auto [requests_read, requests_write] = make_pipe();
        auto [answers_read, answers_write] = make_pipe();
        requests = std::move(requests_write);
        answers = std::move(answers_read);
        (void)::fcntl(answers.get(), F_SETFL, O_NONBLOCK);
        server.emplace(context.get_executor(), std::move(requests_read), std::move(answers_write),
                       exeunit::ServerEvents{.request = [this](api::Request request) { received.push_back(std::move(request)); },
                                             .ended = [this](const std::string& reason) { ends.push_back(reason); },
                                             .written = [this](uint64_t, Stream, size_t bytes) { written += bytes; }});
    }

    // Runs the server until `done` or, as a failure, for ten seconds.
    template <typename Done>
    void run_until(Done done) {
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (!done()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
            context.run_one_for(100ms);
            context.restart();
        }
    }

    // Lets the server do all that it can without us.
    void settle() {
        while (context.poll() > 0)
            context.restart();
        context.restart();
    }

    // Takes what is in the pipe.
    void read_answers() {
        for (;;) {
            const std::span<char> room = decoder.prepare(65536);
            const ssize_t n = ::read(answers.get(), room.data(), room.size());
            if (n <= 0) break;
            decoder.commit(static_cast<size_t>(n));
        }
        for (api::Response response; decoder.next(response); response.Clear())
            responses.push_back(response);
    }

    void send(const api::Request& request) {
        std::string frame;
        exeunit::append_frame(frame, request);
        base::write_all(requests.get(), frame, "the pipe");
    }

    boost::asio::io_context context;
    base::UniqueFd requests;
    base::UniqueFd answers;
    std::vector<api::Request> received;
    std::vector<std::string> ends;
    size_t written = 0;
    exeunit::Decoder decoder;
    std::vector<api::Response> responses;
    std::optional<exeunit::Server> server;
};

api::Response answer(uint64_t id) {
    api::Response response;
    response.set_id(id);
    response.mutable_kill();
    return response;
}

TEST_F(ServerTest, ReadsRequestsThatComeInPieces) {
    std::string frames;
    for (uint64_t id = 1; id <= 3; id++) {
        api::Request request;
        request.set_id(id);
        request.mutable_run()->set_bin("/bin/\xff");
        exeunit::append_frame(frames, request);
    }
    for (const char byte : frames) {
        base::write_all(requests.get(), std::string_view(&byte, 1), "the pipe");
        settle();
    }
    ASSERT_EQ(received.size(), 3U);
    EXPECT_EQ(received[2].id(), 3U);
    EXPECT_EQ(received[2].run().bin(), "/bin/\xff");
    EXPECT_TRUE(ends.empty());
}

TEST_F(ServerTest, EndOfFileIsAnOrderlyEnd) {
    requests.reset();
    run_until([&] { return !ends.empty(); });
    EXPECT_EQ(ends, std::vector<std::string>{""});
}

TEST_F(ServerTest, EndOfFileInAFrameIsNot) {
    base::write_all(requests.get(), std::string_view("\x05\x08"), "the pipe");
    requests.reset();
    run_until([&] { return !ends.empty(); });
    EXPECT_THAT(ends, testing::ElementsAre(testing::HasSubstr("in the middle of a frame")));
}

TEST_F(ServerTest, ABrokenFrameEndsTheSession) {
    base::write_all(requests.get(), std::string_view("\x02\xff\xff", 3), "the pipe");
    run_until([&] { return !ends.empty(); });
    EXPECT_THAT(ends, testing::ElementsAre(testing::HasSubstr("bad frame")));
    EXPECT_TRUE(received.empty());
}

TEST_F(ServerTest, AReaderThatWentAwayEndsTheSession) {
    answers.reset();
    server->send(answer(1));
    run_until([&] { return !ends.empty(); });
    EXPECT_THAT(ends, testing::ElementsAre(testing::HasSubstr("cannot write")));
}

TEST_F(ServerTest, AnswersAndRequestsPassAFullPipe) {
    constexpr size_t kFlood = 4 << 20;
    server->output(1, Stream::out, std::string(kFlood, 'x'));
    settle();
    EXPECT_GT(written, 0U);
    EXPECT_LT(written, kFlood);

    api::Request request;
    request.set_id(9);
    request.mutable_kill()->set_pid(1);
    send(request);
    run_until([&] { return !received.empty(); });
    server->send(answer(9));
    server->output(2, Stream::out, "echo");

    size_t taken = 0;
    size_t before_answer = 0;
    size_t before_echo = 0;
    run_until([&] {
        read_answers();
        for (const api::Response& response : responses) {
            if (!response.event()) before_answer = taken;
            if (response.status().pid() == 2) before_echo = taken;
            if (response.status().pid() == 1) taken += response.status().stdout().size();
        }
        responses.clear();
        return taken == kFlood && written == kFlood + 4;
    });
    // Only what was in the pipe already, and the event that was being written, may come first.
    EXPECT_LE(before_answer, 65536 + exeunit::Lanes::kMaxEvent);
    EXPECT_LE(before_echo, before_answer + 2 * exeunit::Lanes::kMaxEvent);
    EXPECT_GT(before_answer, 0U);
}

TEST_F(ServerTest, DrainedWaitsForTheReader) {
    server->output(1, Stream::out, std::string(1 << 20, 'x'));
    bool drained = false;
    boost::asio::co_spawn(
        context,
        [](exeunit::Server& server, bool& done) -> boost::asio::awaitable<void> {
            co_await server.drained(1min);
            done = true;
        }(*server, drained),
        boost::asio::detached);
    settle();
    EXPECT_FALSE(drained);
    run_until([&] {
        read_answers();
        return drained;
    });
    EXPECT_EQ(written, 1U << 20);
}

TEST_F(ServerTest, DrainedGivesUpInTheEnd) {
    server->output(1, Stream::out, std::string(1 << 20, 'x'));
    bool drained = false;
    boost::asio::co_spawn(
        context,
        [](exeunit::Server& server, bool& done) -> boost::asio::awaitable<void> {
            co_await server.drained(50ms);
            done = true;
        }(*server, drained),
        boost::asio::detached);
    run_until([&] { return drained; });
}

}  // namespace
