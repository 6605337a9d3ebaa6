// What a hostile guest may try. Each attempt ends the channel, with a reason.
#include "client_fixture.h"

namespace {

using client_test::Client;

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

TEST_F(Client, HostileInputOfAnUnknownProcess) {
    say_ready();
    say_input_taken(99, 1);
    EXPECT_EQ(reason(), "the VM's agent took input for a process that does not run");
}

TEST_F(Client, HostileMoreInputThanWasSent) {
    say_ready();
    start_process(1, 100);
    client_->input(1, "abc", false);
    say_input_taken(1, 4);
    EXPECT_EQ(reason(), "the VM's agent took more input than it was sent");
    EXPECT_THAT(said_, testing::IsEmpty());
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
