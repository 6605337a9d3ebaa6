// The debug channel of the real runtime (docs/spec/debug.md), driven by its client and by hostile ones.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <csignal>

#include "agent/frame.h"
#include "base/error.h"
#include "debug/client.h"
#include "fixture.h"

namespace system_test {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using testing::HasSubstr;
using testing::IsEmpty;
using Local = asio::local::stream_protocol;

class DebugSocket : public SystemTest {
protected:
    void begin() {
        deploy();
        vm_ = launch({}, {"--debug-socket", socket()});
        vm_->until([this] { return fs::exists(socket()); });
    }
    std::string socket() const { return (workdir / "debug.sock").string(); }

    static debug::Run run_of(const std::string& script) {
        debug::Run run;
        run.set_bin("/bin/sh");
        for (const std::string& argument : {std::string("sh"), std::string("-c"), script})
            run.add_args(argument);
        return run;
    }
    std::unique_ptr<debug::Process> start(debug::Run run) {
        return vm_->wait(debug::Process::start(vm_->io().get_executor(), socket(), std::move(run)));
    }
    // Its output to the end.
    static awaitable<std::string> all(debug::Process& process) {
        std::string text;
        while (std::optional<debug::Output> output = co_await process.next())
            text += output->data();
        co_return text;
    }
    std::string rest(debug::Process& process) { return vm_->wait(all(process)); }

    // What is answered to these bytes, up to the connection's end.
    static awaitable<std::string> converse(std::string path, std::string bytes) {
        Local::socket socket(co_await asio::this_coro::executor);
        co_await socket.async_connect(Local::endpoint(path), asio::use_awaitable);
        std::string answer;
        const auto quietly = asio::as_tuple(asio::use_awaitable);
        (void)co_await asio::async_write(socket, asio::buffer(bytes), quietly);
        (void)co_await asio::async_read(socket, asio::dynamic_buffer(answer), quietly);
        co_return answer;
    }
    std::string answer(const std::string& bytes) { return vm_->wait(converse(socket(), bytes)); }

    static std::string frame(const debug::Request& request) {
        std::string bytes;
        agent::append_frame(bytes, request);
        return bytes;
    }
    bool guest_runs(const std::string& name) { return vm_->sh("pidof " + name).code == 0; }

    std::unique_ptr<Runtime> vm_;
};

TEST_F(DebugSocket, RunsBesideTheSupervisorsCommands) {
    begin();
    struct stat status {};
    ASSERT_EQ(::stat(socket().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    // It waits for the VM, so no hello is needed.
    const auto process = start(run_of("echo out; echo err >&2; exit 42"));
    EXPECT_THAT(rest(*process), testing::AllOf(HasSubstr("out\n"), HasSubstr("err\n")));
    EXPECT_EQ(process->exit_code(), 42);
    (void)vm_->hello();

    const auto flood = start(run_of("exec yes"));
    EXPECT_EQ(vm_->sh("echo mine").out, "mine\n");
    flood->signal(SIGTERM);
    (void)rest(*flood);
    EXPECT_EQ(flood->exit_code(), 128 + SIGTERM);
    EXPECT_TRUE(vm_->stray().empty());
    EXPECT_EQ(vm_->shutdown(), 0);
    EXPECT_FALSE(fs::exists(socket()));
}

TEST_F(DebugSocket, PassesInputByteForByte) {
    begin();
    debug::Run run = run_of("exec cat");
    run.set_input(true);
    const auto process = start(run);
    constexpr size_t kBytes = 64 << 20;
    std::string sent(kBytes, '\0');
    uint32_t state = 1;
    for (char& byte : sent) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<char>(state >> 24);
    }
    auto written = asio::co_spawn(vm_->io(), process->write(sent), asio::use_future);
    std::string received;
    const uint64_t before = vm_->own_memory_bytes();
    while (received.size() < kBytes) {
        const std::optional<debug::Output> output = vm_->wait(process->next());
        ASSERT_TRUE(output);
        received += output->data();
    }
    EXPECT_LT(vm_->own_memory_bytes(), before + (16 << 20));
    written.get();
    process->close_input();
    EXPECT_EQ(rest(*process), "");
    EXPECT_EQ(process->exit_code(), 0);
    EXPECT_TRUE(received == sent);
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, AProgramThatNeverReadsBlocksNobody) {
    begin();
    (void)vm_->hello();
    debug::Run run = run_of("exec sleep 1000");
    run.set_input(true);
    const auto process = start(run);
    const std::string data(1 << 20, 'x');
    auto written = asio::co_spawn(vm_->io(), process->write(data), asio::use_future);
    EXPECT_EQ(vm_->sh("echo mine").out, "mine\n");
    EXPECT_EQ(written.wait_for(0s), std::future_status::timeout);
    process->signal(SIGTERM);
    EXPECT_EQ(rest(*process), "");
    EXPECT_EQ(process->exit_code(), 128 + SIGTERM);
    vm_->until([&] { return written.wait_for(0s) == std::future_status::ready; });
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, GivesATerminalAnEnvironmentAndAUser) {
    begin();
    debug::Run run = run_of("trap 'stty size; exit 5' WINCH; stty size; echo $COLOUR $(id -u); while true; do sleep 0.1; done");
    run.mutable_terminal()->set_rows(24);
    run.mutable_terminal()->set_columns(80);
    run.add_env("COLOUR=green");
    run.set_user("1234");
    const auto process = start(run);
    std::string text;
    while (text.find("green 1234") == std::string::npos)
        text += vm_->wait(process->next()).value().data();
    EXPECT_THAT(text, HasSubstr("24 80"));
    process->resize(50, 132);
    EXPECT_THAT(rest(*process), HasSubstr("50 132"));
    EXPECT_EQ(process->exit_code(), 5);

    debug::Run sleep = run_of("exec sleep 1000");
    *sleep.mutable_terminal() = run.terminal();
    const auto interrupted = start(sleep);
    vm_->wait(interrupted->write("\x03"));
    (void)rest(*interrupted);
    EXPECT_EQ(interrupted->exit_code(), 128 + SIGINT);
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, SaysWhyAProgramDoesNotStart) {
    begin();
    debug::Run run;
    run.set_bin("/bin/nothing");
    try {
        (void)start(run);
        FAIL();
    } catch (const debug::OperationError& e) {
        EXPECT_EQ(e.code(), debug::Error::NOT_FOUND);
        EXPECT_STREQ(e.what(), "cannot run /bin/nothing: No such file or directory");
    }
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, AClientThatGoesTakesItsProgramAlong) {
    begin();
    (void)vm_->hello();
    auto process = start(run_of("exec sleep 1000"));
    EXPECT_TRUE(guest_runs("sleep"));
    process.reset();
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (guest_runs("sleep"))
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, Measures) {
    begin();
    const auto process = start(run_of("exec sleep 1000"));
    const debug::Figures figures = vm_->wait(debug::measure(vm_->io().get_executor(), socket()));
    EXPECT_GT(figures.cpu_ns(), 0U);
    EXPECT_EQ(figures.cores(), 1U);
    EXPECT_GT(figures.memory_bytes(), 1U << 20);
    EXPECT_EQ(figures.memory_limit_bytes(), 256U << 20);
    EXPECT_EQ(figures.processes(), 1U);
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, StopEndsTheVmAndTheSupervisorsPipe) {
    begin();
    const auto process = start(run_of("exec sleep 1000"));
    vm_->wait(debug::stop(vm_->io().get_executor(), socket()));
    EXPECT_EQ(rest(*process), "");
    EXPECT_EQ(process->exit_code(), 128 + SIGTERM);
    EXPECT_EQ(vm_->exit_code(), 0);
    EXPECT_FALSE(fs::exists(socket()));
    EXPECT_THAT(qemu_processes(), IsEmpty());
}

TEST_F(DebugSocket, ADeadVmIsReported) {
    begin();
    const auto process = start(run_of("exec sleep 1000"));
    ASSERT_EQ(::kill(vm_->qemu_pid(), SIGKILL), 0);
    EXPECT_THAT(rest(*process), HasSubstr("the VM died"));
    EXPECT_EQ(process->exit_code(), 137);
    EXPECT_THROW((void)vm_->wait(debug::measure(vm_->io().get_executor(), socket())), debug::OperationError);
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, HostileClientsGetAnError) {
    begin();
    (void)vm_->hello();
    debug::Request run;
    *run.mutable_run() = run_of("exec sleep 1000");
    debug::Request measure;
    measure.mutable_measure();
    debug::Request input;
    input.mutable_input()->set_data("x");
    debug::Request resize;
    resize.mutable_resize()->mutable_terminal()->set_rows(1);
    debug::Request no_signal;
    no_signal.mutable_signal()->set_signal(1000);
    debug::Request empty;
    empty.mutable_run();
    EXPECT_THAT(answer(std::string("\xff\xff\xff\x7f", 4)), HasSubstr("longer than 4 MiB"));
    EXPECT_THAT(answer(std::string("\x02\0\0\0\xff\xff", 6)), HasSubstr("cannot be decoded"));
    EXPECT_THAT(answer(frame(input)), HasSubstr("begins with"));
    EXPECT_THAT(answer(frame(empty)), HasSubstr("names a program"));
    EXPECT_THAT(answer(frame(run) + frame(input)), HasSubstr("takes no input"));
    EXPECT_THAT(answer(frame(run) + frame(resize)), HasSubstr("no terminal"));
    EXPECT_THAT(answer(frame(run) + frame(no_signal)), HasSubstr("not a signal"));
    EXPECT_THAT(answer(frame(run) + frame(measure)), HasSubstr("follow a Run"));
    EXPECT_THAT(answer(std::string("\x05\0", 2)), HasSubstr("no request came"));  // half a frame, for 10 s
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (guest_runs("sleep"))
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    EXPECT_EQ(vm_->sh("echo well").out, "well\n");
    EXPECT_EQ(vm_->shutdown(), 0);
}

TEST_F(DebugSocket, TakesAPathThatADeadRuntimeLeftAndNoOther) {
    const int stale = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(stale, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(stale, 1), 0);
    deploy();
    vm_ = launch({}, {"--debug-socket", socket()});
    EXPECT_EQ(vm_->exit_code(), 1) << "somebody listens there";
    ::close(stale);
    begin();
    (void)vm_->hello();
    EXPECT_EQ(rest(*start(run_of("echo well"))), "well\n");
    EXPECT_EQ(vm_->shutdown(), 0);
    vm_ = launch({}, {"--debug-socket", (workdir / std::string(120, 'x')).string()});
    EXPECT_EQ(vm_->exit_code(), 1) << "the path is too long";
}

TEST_F(DebugSocket, AnotherUserIsTurnedAway) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    begin();
    (void)vm_->hello();
    ASSERT_EQ(::chmod(socket().c_str(), 0666), 0);  // as if its mode did not protect it
    int inner = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::seteuid(65534), 0);
    const int connected = ::connect(inner, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ASSERT_EQ(::seteuid(0), 0);
    if (connected == 0) {
        char text[512] = {};
        vm_->serve(200ms);
        const ssize_t size = ::read(inner, text, sizeof text);
        EXPECT_THAT(std::string(text, static_cast<size_t>(std::max<ssize_t>(size, 0))), HasSubstr("the user of the runtime alone"));
    }
    ::close(inner);
    EXPECT_EQ(vm_->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
