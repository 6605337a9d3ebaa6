#include "client_fixture.h"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using client_test::Client;
using client_test::error_of;
using client_test::kDeadline;
using testing::HasSubstr;

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

TEST_F(Client, SendsInputInPiecesUnderItsWindow) {
    say_ready();
    start_process(7, 100);
    const std::string data(agent::kInputWindow - 1, 'x');
    client_->input(7, data, false);
    EXPECT_EQ(client_->input_room(7), 1U);
    EXPECT_THROW(client_->input(7, "ab", false), std::length_error);
    client_->input(7, "y", true);
    std::string heard;
    for (bool end = false; !end;) {
        const agent::Request request = hear();
        ASSERT_TRUE(request.has_input());
        EXPECT_EQ(request.input().process(), 7U);
        EXPECT_LE(request.input().data().size(), agent::kMaxInputBytes);
        heard += request.input().data();
        end = request.input().end();
    }
    EXPECT_EQ(heard, data + "y");
    say_input_taken(7, 100);
    until([&] { return said_.size() == 1; });
    EXPECT_EQ(said_.at(0), "process 7 took 100");
    EXPECT_EQ(client_->input_room(7), 100U);
}

TEST_F(Client, SendsNoInputToAProcessThatHasExited) {
    say_ready();
    start_process(1, 100);
    say_exited(1, 0);
    until([&] { return said_.size() == 1; });
    EXPECT_EQ(client_->input_room(1), 0U);
    client_->input(1, "dropped", true);
    client_->resize(1, agent::Terminal());
    start_process(2, 100);  // the guest hears of it next
}

TEST_F(Client, SendsTheLastSizeOfATerminal) {
    say_ready();
    start_process(1, 100);
    agent::Terminal terminal;
    terminal.set_rows(24);
    terminal.set_columns(80);
    client_->resize(1, terminal);
    for (uint32_t columns = 81; columns <= 200; columns++) {
        terminal.set_columns(columns);
        client_->resize(1, terminal);
    }
    EXPECT_EQ(hear().resize().terminal().columns(), 80U);
    const agent::Request last = hear();
    EXPECT_EQ(last.resize().process(), 1U);
    EXPECT_EQ(last.resize().terminal().rows(), 24U);
    EXPECT_EQ(last.resize().terminal().columns(), 200U);
}

}  // namespace
