#include "agent/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <future>

#include "agent/frame.h"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto kDeadline = 20s;

// A client, and the guest's end of its channel in the test's hands.
class Client : public testing::Test {
protected:
    Client() {
        auto [ours, theirs] = base::socket_pair();
        guest_ = std::move(theirs);
        agent::Events events;
        events.output = [this](const agent::Output& output) { said_.push_back("output " + output.data()); };
        events.exited = [this](const agent::Exited& exited) { said_.push_back("exited " + std::to_string(exited.code())); };
        events.log = [this](const std::string& line) { said_.push_back("log " + line); };
        events.living = [this](bool any) { said_.push_back(any ? "some live" : "none live"); };
        events.closed = [this](const std::string& reason) {
            EXPECT_FALSE(closed_);
            closed_ = reason;
        };
        client_ = std::make_unique<agent::Client>(io_.get_executor(), std::move(ours), std::move(events));
    }

    void until(const std::function<bool()>& condition) {
        io_.restart();
        const auto deadline = std::chrono::steady_clock::now() + kDeadline;
        while (!condition())
            ASSERT_GT(io_.run_one_until(deadline), 0U) << "the client did not do in time what the test waits for";
    }

    template <typename T>
    T wait(std::future<T> future) {
        until([&] { return future.wait_for(0s) == std::future_status::ready; });
        return future.get();
    }

    std::future<agent::Ready> ready(std::chrono::steady_clock::duration deadline = kDeadline) {
        return asio::co_spawn(io_, client_->ready(deadline), asio::use_future);
    }
    std::future<agent::Reply> request(const agent::Request& request) {
        return asio::co_spawn(io_, client_->request(request), asio::use_future);
    }

    // What the guest says.
    void say_bytes(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(guest_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0) {
                ASSERT_EQ(errno, EAGAIN);
                io_.restart();
                io_.run_one_for(kDeadline);
                continue;
            }
            bytes.remove_prefix(static_cast<size_t>(n));
        }
    }
    void say(const agent::Message& message) {
        std::string frame;
        agent::append_frame(frame, message);
        say_bytes(frame);
    }
    void say_ready(uint32_t version = agent::kProtocolVersion) {
        agent::Message message;
        message.mutable_ready()->set_version(version);
        say(message);
    }
    void answer(uint64_t id, const char* error = nullptr) {
        agent::Message message;
        message.mutable_reply()->set_id(id);
        if (error != nullptr) {
            message.mutable_reply()->mutable_error()->set_code(agent::Error::NOT_FOUND);
            message.mutable_reply()->mutable_error()->set_message(error);
        }
        say(message);
    }
    void say_output(uint64_t process, const std::string& data, agent::Stream stream = agent::STDOUT) {
        agent::Message message;
        message.mutable_output()->set_process(process);
        message.mutable_output()->set_stream(stream);
        message.mutable_output()->set_data(data);
        say(message);
    }
    void say_exited(uint64_t process, int code) {
        agent::Message message;
        message.mutable_exited()->set_process(process);
        message.mutable_exited()->set_code(code);
        say(message);
    }

    // What the guest hears: the next request.
    agent::Request hear() {
        std::string_view payload;
        while (decoder_.next(payload) == agent::FrameDecoder::Found::incomplete) {
            io_.restart();
            io_.poll();
            const std::span<char> space = decoder_.prepare(65536);
            const ssize_t n = ::recv(guest_.get(), space.data(), space.size(), MSG_DONTWAIT);
            if (n > 0) decoder_.commit(static_cast<size_t>(n));
            if (n < 0 && errno == EAGAIN) io_.run_one_for(10ms);
        }
        agent::Request request;
        EXPECT_TRUE(request.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
        return request;
    }

    // A process that runs, with this credit on each stream.
    void start_process(uint64_t process, uint32_t credit) {
        agent::Request exec;
        exec.mutable_exec()->set_process(process);
        exec.mutable_exec()->set_bin("/bin/true");
        exec.mutable_exec()->set_credit(credit);
        auto started = request(exec);
        answer(hear().id());
        wait(std::move(started));
    }

    // The reason for which the client closed the channel.
    std::string reason() {
        until([&] { return closed_.has_value(); });
        return closed_.value_or("");
    }

    asio::io_context io_;
    base::UniqueFd guest_;
    agent::FrameDecoder decoder_{agent::kMaxRequestBytes};
    std::unique_ptr<agent::Client> client_;
    std::vector<std::string> said_;
    std::optional<std::string> closed_;
};

template <typename E, typename F>
std::string error_of(F f) {
    try {
        f();
    } catch (const E& error) {
        return error.what();
    }
    return "no error";
}

TEST_F(Client, WaitsForReady) {
    auto waiting = ready();
    say_ready();
    EXPECT_EQ(wait(std::move(waiting)).version(), agent::kProtocolVersion);
}

TEST_F(Client, KnowsAReadyThatCameBeforeAnybodyWaited) {
    say_ready();
    io_.run_for(50ms);
    EXPECT_EQ(wait(ready()).version(), agent::kProtocolVersion);
}

TEST_F(Client, ReadyHasADeadline) {
    const std::string error = error_of<agent::ChannelError>([&] { wait(ready(10ms)); });
    EXPECT_THAT(error, HasSubstr("was not ready within"));
}

TEST_F(Client, AnswersGoToTheirRequests) {
    say_ready();
    agent::Request kill;
    kill.mutable_kill()->set_process(1);
    auto first = request(kill);
    auto second = request(kill);
    const uint64_t first_id = hear().id();
    const uint64_t second_id = hear().id();
    EXPECT_NE(first_id, second_id);
    answer(second_id, "not \x1b there");
    answer(first_id);
    EXPECT_EQ(error_of<agent::GuestError>([&] { wait(std::move(second)); }), "not ? there");
    wait(std::move(first));
}

TEST_F(Client, RefusesARequestThatIsTooLong) {
    say_ready();
    agent::Request exec;
    exec.mutable_exec()->add_args(std::string(agent::kMaxRequestBytes, 'x'));
    EXPECT_THAT(error_of<agent::GuestError>([&] { wait(request(exec)); }), HasSubstr("4 MiB"));
}

TEST_F(Client, OutputComesAfterTheAwaiterOfItsExecHasRunOn) {
    say_ready();
    agent::Request exec;
    exec.mutable_exec()->set_process(7);
    exec.mutable_exec()->set_credit(100);
    const auto run = [](agent::Client& client, agent::Request request, std::vector<std::string>& said) -> asio::awaitable<void> {
        co_await client.request(std::move(request));
        said.emplace_back("started");
    };
    auto started = asio::co_spawn(io_, run(*client_, exec, said_), asio::use_future);
    const uint64_t id = hear().id();
    answer(id);
    say_output(7, "text");
    say_exited(7, 3);
    until([&] { return said_.size() == 3; });
    EXPECT_THAT(said_, testing::ElementsAre("started", "output text", "exited 3"));
}

TEST_F(Client, GrantsAreSentAndSummedUpWhileTheGuestReadsNothing) {
    say_ready();
    start_process(1, 10);
    agent::Request large;
    large.mutable_exec()->set_process(2);
    large.mutable_exec()->add_args(std::string(3 << 20, 'x'));  // more than the socket holds: the channel is stopped up
    auto waiting = request(large);
    io_.restart();
    io_.poll();
    for (int i = 0; i < 100000; i++)
        client_->grant(1, agent::STDERR, 2);
    EXPECT_TRUE(hear().has_exec());
    const agent::Request credit = hear();
    ASSERT_TRUE(credit.has_credit());
    EXPECT_EQ(credit.credit().process(), 1U);
    EXPECT_EQ(credit.credit().stream(), agent::STDERR);
    EXPECT_EQ(credit.credit().bytes(), 200000U);
    client_->close();
    EXPECT_THROW(wait(std::move(waiting)), agent::ChannelError);
}

TEST_F(Client, TakesOutputUpToItsCreditAndNoMore) {
    say_ready();
    start_process(1, 4);
    say_output(1, "1234");
    say_output(1, "1234", agent::STDERR);
    until([&] { return said_.size() == 2; });
    client_->grant(1, agent::STDOUT, 2);
    say_output(1, "56");
    until([&] { return said_.size() == 3; });
    EXPECT_FALSE(closed_);
    say_output(1, "7");
    EXPECT_EQ(reason(), "the VM's agent sent more output than it was allowed to");
}

TEST_F(Client, LogLinesAreMadePrintable) {
    say_ready();
    agent::Message message;
    message.mutable_log()->set_text("line\x1b]0;title\x07" + std::string(100000, 'x'));
    say(message);
    until([&] { return said_.size() == 1; });
    EXPECT_EQ(said_[0].substr(0, 16), "log line?]0;titl");
    EXPECT_EQ(said_[0].size(), 4U + 1024U);
}

TEST_F(Client, TellsWhetherAnythingLives) {
    say_ready();
    agent::Message message;
    message.mutable_living()->set_any(true);
    say(message);
    message.mutable_living()->set_any(false);
    say(message);
    until([&] { return said_.size() == 2; });
    EXPECT_THAT(said_, testing::ElementsAre("some live", "none live"));
}

TEST_F(Client, AClosedChannelFailsWhoeverWaits) {
    say_ready();
    auto waiting = request(agent::Request());
    (void)hear();
    guest_.reset();
    EXPECT_EQ(error_of<agent::ChannelError>([&] { wait(std::move(waiting)); }), "the VM closed the agent channel");
    EXPECT_EQ(closed_, "the VM closed the agent channel");
    EXPECT_EQ(error_of<agent::ChannelError>([&] { wait(request(agent::Request())); }), "the VM closed the agent channel");
    EXPECT_THROW(wait(ready()), agent::ChannelError);
}

TEST_F(Client, ClosingItIsNoEvent) {
    say_ready();
    auto waiting = request(agent::Request());
    (void)hear();
    client_->close();
    EXPECT_THROW(wait(std::move(waiting)), agent::ChannelError);
    char byte;
    EXPECT_EQ(::recv(guest_.get(), &byte, 1, 0), 0);
    EXPECT_FALSE(closed_);
}

TEST_F(Client, ADestroyedClientLeavesNothingRunning) {
    say_ready();
    start_process(1, 10);
    client_.reset();
    io_.restart();
    io_.run_for(kDeadline);  // returns when there is nothing to wait for
    EXPECT_TRUE(io_.stopped());
}

// ---- What a hostile guest may try. Each attempt ends the channel, with a reason.

TEST_F(Client, HostileOtherVersion) {
    say_ready(2);
    EXPECT_EQ(reason(), "the VM's agent speaks version 2 of the protocol, not 1");
}

TEST_F(Client, HostileReadyTwice) {
    say_ready();
    say_ready();
    EXPECT_EQ(reason(), "the VM's agent reported twice that it is ready");
}

TEST_F(Client, HostileBeforeReady) {
    say_exited(1, 0);
    EXPECT_EQ(reason(), "the VM's agent sent something before it was ready");
}

TEST_F(Client, HostileLength) {
    say_ready();
    say_bytes(std::string_view("\x01\x00\x02\x00", 4));  // 128 KiB and a byte
    EXPECT_EQ(reason(), "the VM's agent sent a message longer than 128 KiB");
}

TEST_F(Client, HostileBytes) {
    say_ready();
    say_bytes(std::string_view("\x03\x00\x00\x00\xff\xff\xff", 7));
    EXPECT_EQ(reason(), "the VM's agent sent a message that cannot be decoded");
}

TEST_F(Client, HostileUnknownKind) {
    say_ready();
    say(agent::Message());
    EXPECT_EQ(reason(), "the VM's agent sent a message of an unknown kind");
}

TEST_F(Client, HostileAnswer) {
    say_ready();
    answer(99);
    EXPECT_EQ(reason(), "the VM's agent answered a request that was not made");
}

TEST_F(Client, HostileOutputOfAnUnknownProcess) {
    say_ready();
    say_output(99, "x");
    EXPECT_EQ(reason(), "the VM's agent sent output of a process that does not run");
}

TEST_F(Client, HostileOutputBeforeTheAnswer) {
    say_ready();
    agent::Request exec;
    exec.mutable_exec()->set_process(1);
    exec.mutable_exec()->set_credit(100);
    auto waiting = request(exec);
    (void)hear();
    say_output(1, "x");
    EXPECT_EQ(reason(), "the VM's agent sent output of a process that does not run");
    EXPECT_THROW(wait(std::move(waiting)), agent::ChannelError);
}

TEST_F(Client, HostileOutputAfterTheExit) {
    say_ready();
    start_process(1, 100);
    say_exited(1, 0);
    say_output(1, "x");
    EXPECT_EQ(reason(), "the VM's agent sent output of a process that does not run");
}

TEST_F(Client, HostileExitTwice) {
    say_ready();
    start_process(1, 100);
    say_exited(1, 0);
    say_exited(1, 0);
    EXPECT_EQ(reason(), "the VM's agent reported the end of a process that does not run");
}

TEST_F(Client, HostileStreamAndSizes) {
    say_ready();
    start_process(1, 1 << 20);
    say_output(1, std::string(agent::kMaxOutputBytes, 'x'));
    until([&] { return said_.size() == 1; });
    say_output(1, std::string(agent::kMaxOutputBytes + 1, 'x'));
    EXPECT_EQ(reason(), "the VM's agent sent output of a size that is not allowed");
}

TEST_F(Client, HostileStream) {
    say_ready();
    start_process(1, 100);
    say_output(1, "x", static_cast<agent::Stream>(5));
    EXPECT_EQ(reason(), "the VM's agent sent output of an unknown stream");
}

TEST_F(Client, HostileLogFloodIsLimited) {
    say_ready();
    agent::Message message;
    message.mutable_log()->set_text("flood");
    for (int i = 0; i < 20000; i++)
        say(message);
    start_process(1, 100);  // whatever was said has been read when the answer has
    EXPECT_GE(said_.size(), 100U);
    EXPECT_LT(said_.size(), 1000U);
    EXPECT_FALSE(closed_);
}

}  // namespace
