#include "runtime/processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <csignal>
#include <future>
#include <stdexcept>

#include "exeunit/lanes.h"
#include "exeunit/request_error.h"

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using runtime::ProcessEnd;
using runtime::Processes;
using runtime::ProcessSpec;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Code = ya_runtime_api::Error::Code;

// Answers each request at once, or with the error that it was given. tests/system has the guest itself.
class FakeGuest : public runtime::GuestChannel {
public:
    awaitable<agent::Reply> request(agent::Request request) override {
        requests.push_back(std::move(request));
        if (!error.empty()) throw agent::GuestError(agent::Error::NOT_FOUND, error);
        co_return agent::Reply();
    }
    void grant(uint64_t process, agent::Stream stream, uint32_t bytes) override {
        EXPECT_EQ(process, 1U);
        EXPECT_EQ(stream, agent::STDOUT);
        grants.push_back(bytes);
    }

    void input(uint64_t process, std::string_view data, bool end) override {
        inputs.push_back(std::to_string(process) + " " + std::string(data) + (end ? " end" : ""));
    }
    void resize(uint64_t process, const agent::Terminal& terminal) override {
        inputs.push_back(std::to_string(process) + " " + std::to_string(terminal.rows()) + "x" + std::to_string(terminal.columns()));
    }

    std::vector<agent::Request> requests;
    std::vector<std::string> inputs;
    std::vector<uint32_t> grants;
    std::string error;
};

class ProcessesTest : public testing::Test {
protected:
    template <typename T>
    T wait(awaitable<T> work) {
        std::future<T> future = asio::co_spawn(io_, std::move(work), asio::use_future);
        io_.restart();
        io_.run();
        return future.get();
    }
    uint64_t start(ProcessSpec spec = {.bin = "/bin/true"}) { return wait(processes_.start(std::move(spec))); }

    void write(uint64_t pid, agent::Stream stream, const std::string& data) {
        agent::Output output;
        output.set_process(pid);
        output.set_stream(stream);
        output.set_data(data);
        processes_.on_output(output);
    }
    void exit(uint64_t pid, int code, bool out_of_memory = false) {
        agent::Exited exited;
        exited.set_process(pid);
        exited.set_code(code);
        exited.set_out_of_memory(out_of_memory);
        processes_.on_exited(exited);
    }
    Code code_of_kill(uint64_t pid, int signal) {
        try {
            wait(processes_.kill(pid, signal));
        } catch (const exeunit::RequestError& e) {
            return e.code();
        }
        throw std::logic_error("the signal was sent");
    }

    asio::io_context io_;
    FakeGuest guest_;
    std::string out_;
    std::string err_;
    std::vector<ProcessEnd> ends_;
    Processes processes_{
        guest_,
        {.output = [this](uint64_t, agent::Stream stream, const std::string& data) { (stream == agent::STDOUT ? out_ : err_) += data; },
         .ended = [this](ProcessEnd end) { ends_.push_back(std::move(end)); }}};
};

TEST_F(ProcessesTest, StartsAndReportsOutputAndEnd) {
    const uint64_t pid = start({.bin = "/bin/echo", .args = {"echo", "hello"}, .work_dir = "/srv"});
    ASSERT_EQ(guest_.requests.size(), 1U);
    const agent::Exec& exec = guest_.requests[0].exec();
    EXPECT_EQ(exec.process(), pid);
    EXPECT_EQ(exec.bin(), "/bin/echo");
    EXPECT_THAT(exec.args(), ElementsAre("echo", "hello"));
    EXPECT_EQ(exec.work_dir(), "/srv");
    EXPECT_EQ(exec.credit(), runtime::output_window(2));
    write(pid, agent::STDOUT, "hello");
    write(pid, agent::STDERR, "oh");
    EXPECT_THAT(ends_, IsEmpty());
    exit(pid, 7);
    EXPECT_EQ(out_, "hello");
    EXPECT_EQ(err_, "oh");
    ASSERT_EQ(ends_.size(), 1U);
    EXPECT_EQ(ends_[0].pid, pid);
    EXPECT_EQ(ends_[0].code, 7);
}

TEST_F(ProcessesTest, AProcessMayHaveEventsOfItsOwn) {
    std::string out;
    std::vector<int> codes;
    std::vector<uint32_t> taken;
    runtime::ProcessEvents events{.output = [&](uint64_t, agent::Stream, const std::string& data) { out += data; },
                                  .ended = [&](const ProcessEnd& end) { codes.push_back(end.code); },
                                  .input_taken = [&](uint64_t, uint32_t bytes) { taken.push_back(bytes); }};
    agent::Terminal terminal;
    terminal.set_rows(24);
    terminal.set_columns(80);
    const uint64_t pid = start({.bin = "/bin/sh", .terminal = terminal, .env = {"A=b"}, .user = "nobody", .events = std::move(events)});
    const agent::Exec& exec = guest_.requests.at(0).exec();
    EXPECT_EQ(exec.terminal().columns(), 80U);
    EXPECT_THAT(exec.env(), ElementsAre("A=b"));
    EXPECT_EQ(exec.user(), "nobody");
    processes_.input(pid, "x", true);
    processes_.resize(pid, terminal);
    EXPECT_THAT(guest_.inputs, ElementsAre("1 x end", "1 24x80"));
    processes_.on_input_taken(pid, 1);
    EXPECT_THAT(taken, ElementsAre(1U));
    write(pid, agent::STDOUT, "own");
    exit(pid, 3);
    EXPECT_EQ(out, "own");
    EXPECT_THAT(codes, ElementsAre(3));
    EXPECT_EQ(out_, "");
    EXPECT_THAT(ends_, IsEmpty());
    processes_.input(pid, "late", false);
    EXPECT_EQ(guest_.inputs.size(), 2U);
}

TEST_F(ProcessesTest, NeverUsesAPidTwice) {
    const uint64_t first = start();
    exit(first, 0);
    guest_.error = "no such file";
    EXPECT_THROW(start(), agent::GuestError);
    guest_.error.clear();
    EXPECT_EQ(start(), first + 2);
}

TEST_F(ProcessesTest, AProcessThatDidNotStartHasNoEvents) {
    guest_.error = "cannot run /bin/none: No such file or directory";
    EXPECT_THROW(start(), agent::GuestError);
    write(1, agent::STDOUT, "x");
    exit(1, 0);
    processes_.on_death("gone");
    EXPECT_EQ(out_, "");
    EXPECT_THAT(ends_, IsEmpty());
}

TEST_F(ProcessesTest, RefusesArgumentsThatTheChannelCannotCarry) {
    try {
        start({.bin = "/bin/true", .args = {std::string(5 << 20, 'x')}});
        FAIL();
    } catch (const exeunit::RequestError& e) {
        EXPECT_EQ(e.code(), ya_runtime_api::Error::BAD_REQUEST);
        EXPECT_STREQ(e.what(), "cannot run /bin/true: Argument list too long");
    }
    EXPECT_THAT(guest_.requests, IsEmpty());
}

TEST_F(ProcessesTest, GrantsAgainWhatHasBeenTaken) {
    const uint32_t window = runtime::output_window(2);
    const uint64_t pid = start();
    write(pid, agent::STDOUT, std::string(window, 'x'));
    EXPECT_THAT(guest_.grants, IsEmpty());
    processes_.taken(pid, agent::STDOUT, window / 2);
    EXPECT_THAT(guest_.grants, ElementsAre(window / 2));
    processes_.taken(pid, agent::STDOUT, window / 2);
    EXPECT_THAT(guest_.grants, ElementsAre(window / 2, window / 2));
    exit(pid, 0);
    processes_.taken(pid, agent::STDOUT, window);
    EXPECT_EQ(guest_.grants.size(), 2U);
}

TEST_F(ProcessesTest, KeepsTheEndOfAStreamForTheStatus) {
    const uint64_t pid = start({.bin = "/bin/true", .keep_stdout = 5});
    write(pid, agent::STDOUT, "0123456789");
    write(pid, agent::STDOUT, "ab");
    write(pid, agent::STDERR, "as it comes");
    exit(pid, 0);
    EXPECT_EQ(out_, "");
    EXPECT_EQ(err_, "as it comes");
    ASSERT_EQ(ends_.size(), 1U);
    EXPECT_EQ(ends_[0].stdout_end, "789ab");
    EXPECT_EQ(ends_[0].stderr_end, "");
}

TEST_F(ProcessesTest, SendsAheadWhatTheStatusCannotHold) {
    const size_t kept = exeunit::Lanes::kMaxEvent + 100;
    const uint64_t pid = start({.bin = "/bin/true", .keep_stdout = static_cast<uint32_t>(kept)});
    write(pid, agent::STDOUT, "cut" + std::string(100, 'a') + std::string(exeunit::Lanes::kMaxEvent, 'b'));
    exit(pid, 0);
    EXPECT_EQ(out_, std::string(100, 'a'));
    EXPECT_EQ(ends_.at(0).stdout_end, std::string(exeunit::Lanes::kMaxEvent, 'b'));
}

TEST_F(ProcessesTest, KillsWhatRuns) {
    const uint64_t pid = start();
    wait(processes_.kill(pid, SIGTERM));
    EXPECT_EQ(guest_.requests.back().kill().process(), pid);
    EXPECT_EQ(guest_.requests.back().kill().signal(), SIGTERM);
    wait(processes_.kill(pid, 0));
    EXPECT_EQ(guest_.requests.back().kill().signal(), SIGKILL);
    EXPECT_EQ(code_of_kill(pid, -1), ya_runtime_api::Error::BAD_REQUEST);
    EXPECT_EQ(code_of_kill(pid, 10000), ya_runtime_api::Error::BAD_REQUEST);
    EXPECT_EQ(code_of_kill(pid + 1, SIGTERM), ya_runtime_api::Error::NOT_FOUND);
    exit(pid, 0);
    EXPECT_EQ(code_of_kill(pid, SIGTERM), ya_runtime_api::Error::NOT_FOUND);
    EXPECT_EQ(guest_.requests.size(), 3U);
}

TEST_F(ProcessesTest, SaysThatTheVmRanOutOfMemory) {
    const uint64_t pid = start();
    write(pid, agent::STDERR, "half a line");
    exit(pid, 137, true);
    EXPECT_EQ(err_.find("half a line\nya-runtime-vm: "), 0U);
    EXPECT_THAT(err_, HasSubstr("memory"));
    EXPECT_EQ(ends_.at(0).code, 137);
}

TEST_F(ProcessesTest, TheVmsDeathEndsEveryProcess) {
    const uint64_t streamed = start();
    const uint64_t kept = start({.bin = "/bin/true", .keep_stderr = 100});
    processes_.on_death("QEMU was killed by signal 9");
    ASSERT_EQ(ends_.size(), 2U);
    EXPECT_EQ(ends_[0].pid, streamed);
    EXPECT_EQ(ends_[0].code, 137);
    EXPECT_EQ(err_, "ya-runtime-vm: the VM died: QEMU was killed by signal 9\n");
    EXPECT_EQ(ends_[1].pid, kept);
    EXPECT_EQ(ends_[1].stderr_end, "ya-runtime-vm: the VM died: QEMU was killed by signal 9\n");
    processes_.on_death("again");
    EXPECT_EQ(ends_.size(), 2U);
}

TEST_F(ProcessesTest, AWantedEndOfTheVmNeedsNoExplanation) {
    start();
    processes_.on_death("");
    EXPECT_EQ(ends_.at(0).code, 137);
    EXPECT_EQ(err_, "");
}

}  // namespace
