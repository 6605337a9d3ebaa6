// The client of the debug channel against a peer that the test plays. tests/system has the runtime itself.
#include "debug/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <future>

#include "agent/frame.h"
#include "base/temporary_folder.h"

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::local::stream_protocol;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;

class DebugClient : public testing::Test {
protected:
    template <typename T>
    std::future<T> spawn(awaitable<T> work) {
        return asio::co_spawn(io_, std::move(work), asio::use_future);
    }
    template <typename T>
    T wait(std::future<T> future) {
        io_.restart();
        const auto deadline = std::chrono::steady_clock::now() + kDeadline;
        while (future.wait_for(0s) != std::future_status::ready) {
            if (io_.run_one_until(deadline) == 0) throw std::runtime_error("the client did not do in time what the test waits for");
        }
        return future.get();
    }
    template <typename T>
    std::string failure(std::future<T> future) {
        try {
            (void)wait(std::move(future));
        } catch (const base::Error& e) {
            return e.what();
        }
        return "no error";
    }

    // The runtime's side.
    debug::Request hear() {
        std::string header(agent::kFrameHeaderBytes, '\0');
        wait(asio::async_read(peer_, asio::buffer(header), asio::use_future));
        size_t size = 0;
        for (size_t i = header.size(); i-- > 0;)
            size = size << 8 | static_cast<unsigned char>(header[i]);
        std::string payload(size, '\0');
        wait(asio::async_read(peer_, asio::buffer(payload), asio::use_future));
        debug::Request request;
        EXPECT_TRUE(request.ParseFromString(payload));
        return request;
    }
    void say_bytes(const std::string& bytes) { wait(asio::async_write(peer_, asio::buffer(bytes), asio::use_future)); }
    void say(const debug::Event& event) {
        std::string frame;
        agent::append_frame(frame, event);
        say_bytes(frame);
    }
    void say_started() {
        debug::Event event;
        event.mutable_started();
        say(event);
    }
    void say_output(const std::string& data) {
        debug::Event event;
        event.mutable_output()->set_data(data);
        say(event);
    }
    void say_exited(int code) {
        debug::Event event;
        event.mutable_exited()->set_code(code);
        say(event);
    }
    void say_taken(uint32_t bytes) {
        debug::Event event;
        event.mutable_input_taken()->set_bytes(bytes);
        say(event);
    }
    void say_error(debug::Error::Code code, const std::string& message) {
        debug::Event event;
        event.mutable_error()->set_code(code);
        event.mutable_error()->set_message(message);
        say(event);
    }

    std::future<std::unique_ptr<debug::Process>> begin() {
        debug::Run run;
        run.set_bin("/bin/cat");
        auto started = spawn(debug::Process::start(io_.get_executor(), path_, run));
        wait(acceptor_.async_accept(peer_, asio::use_future));
        EXPECT_EQ(hear().run().bin(), "/bin/cat");
        return started;
    }
    std::unique_ptr<debug::Process> start() {
        auto started = begin();
        say_started();
        return wait(std::move(started));
    }

    base::TemporaryFolder folder_;
    std::filesystem::path path_ = folder_.path() / "vm.sock";
    asio::io_context io_;
    stream_protocol::acceptor acceptor_{io_, stream_protocol::endpoint(path_.string())};
    stream_protocol::socket peer_{io_};
};

TEST_F(DebugClient, DeliversOutputAndTheExitCode) {
    const auto process = start();
    say_output("hello");
    EXPECT_EQ(wait(spawn(process->next())).value().data(), "hello");
    say_exited(7);
    EXPECT_FALSE(wait(spawn(process->next())).has_value());
    EXPECT_EQ(process->exit_code(), 7);
    EXPECT_FALSE(wait(spawn(process->next())).has_value());
    wait(spawn(process->write("dropped")));
}

TEST_F(DebugClient, SendsInputWithinItsWindow) {
    const auto process = start();
    const std::string data(agent::kInputWindow + 1, 'x');
    auto written = spawn(process->write(data));
    size_t heard = 0;
    while (heard < agent::kInputWindow) {
        const size_t size = hear().input().data().size();
        ASSERT_LE(size, agent::kMaxInputBytes);
        heard += size;
    }
    EXPECT_EQ(heard, agent::kInputWindow);
    io_.restart();
    io_.poll();
    EXPECT_EQ(peer_.available(), 0U) << "the window was not kept";
    auto output = spawn(process->next());
    say_taken(1);
    EXPECT_EQ(hear().input().data(), "x");
    wait(std::move(written));
    process->close_input();
    EXPECT_TRUE(hear().input().end());
    say_exited(0);
    EXPECT_FALSE(wait(std::move(output)).has_value());
}

TEST_F(DebugClient, SendsSizesAndSignals) {
    const auto process = start();
    process->resize(24, 80);
    process->signal(15);
    const debug::Request size = hear();
    EXPECT_EQ(size.resize().terminal().rows(), 24U);
    EXPECT_EQ(size.resize().terminal().columns(), 80U);
    EXPECT_EQ(hear().signal().signal(), 15);
}

TEST_F(DebugClient, AWriteToAProgramThatEndsIsDropped) {
    const auto process = start();
    const std::string data(2 * agent::kInputWindow, 'x');
    auto written = spawn(process->write(data));
    auto output = spawn(process->next());
    say_exited(1);
    EXPECT_FALSE(wait(std::move(output)).has_value());
    wait(std::move(written));
}

TEST_F(DebugClient, ReportsWhyAProgramDoesNotStart) {
    auto started = begin();
    say_error(debug::Error::NOT_FOUND, "cannot run /bin/cat:\x1b[1m none");
    try {
        (void)wait(std::move(started));
        FAIL();
    } catch (const debug::OperationError& e) {
        EXPECT_EQ(e.code(), debug::Error::NOT_FOUND);
        EXPECT_THAT(e.what(), HasSubstr("cannot run /bin/cat"));
        EXPECT_EQ(std::string(e.what()).find('\x1b'), std::string::npos);
    }
}

TEST_F(DebugClient, SaysThatTheVmHasEnded) {
    const auto process = start();
    const std::string data(2 * agent::kInputWindow, 'x');
    auto written = spawn(process->write(data));
    peer_.close();
    EXPECT_THAT(failure(spawn(process->next())), HasSubstr("has ended"));
    EXPECT_THAT(failure(std::move(written)), HasSubstr("has ended"));
    EXPECT_THAT(failure(spawn(process->write("x"))), HasSubstr("has ended"));
}

TEST_F(DebugClient, RefusesWhatBreaksTheProtocol) {
    using Play = std::function<void()>;
    const std::pair<Play, const char*> plays[] = {
        {[this] { say_bytes(std::string("\xff\xff\xff\x7f", 4)); }, "longer than 128 KiB"},
        {[this] { say_bytes(std::string("\x02\0\0\0\xff\xff", 6)); }, "cannot be decoded"},
        {[this] { say_output(std::string(agent::kMaxOutputBytes + 1, 'x')); }, "size that is not allowed"},
        {[this] { say_output(""); }, "size that is not allowed"},
        {[this] { say_taken(1); }, "more input than it was sent"},
        {[this] { say_started(); }, "does not belong there"},
    };
    for (const auto& [play, message] : plays) {
        const auto process = start();
        play();
        EXPECT_THAT(failure(spawn(process->next())), HasSubstr(message));
        peer_.close();
    }
}

TEST_F(DebugClient, RefusesOutputOfAProgramThatHasNotStarted) {
    auto started = begin();
    say_output("early");
    EXPECT_THAT(failure(std::move(started)), HasSubstr("does not belong there"));
}

TEST_F(DebugClient, ItsEndEndsThoseWhoWait) {
    auto process = start();
    auto output = spawn(process->next());
    const std::string data(2 * agent::kInputWindow, 'x');
    auto written = spawn(process->write(data));
    io_.restart();
    io_.poll();
    process.reset();
    EXPECT_THROW((void)wait(std::move(output)), std::exception);
    EXPECT_THAT(failure(std::move(written)), HasSubstr("has ended"));
}

TEST_F(DebugClient, Measures) {
    auto figures = spawn(debug::measure(io_.get_executor(), path_));
    wait(acceptor_.async_accept(peer_, asio::use_future));
    EXPECT_TRUE(hear().has_measure());
    debug::Event event;
    event.mutable_figures()->set_cores(3);
    say(event);
    EXPECT_EQ(wait(std::move(figures)).cores(), 3U);
}

TEST_F(DebugClient, StopsAndWaitsForTheEnd) {
    auto stopped = spawn(debug::stop(io_.get_executor(), path_));
    wait(acceptor_.async_accept(peer_, asio::use_future));
    EXPECT_TRUE(hear().has_stop());
    EXPECT_EQ(stopped.wait_for(0s), std::future_status::timeout);
    peer_.close();
    wait(std::move(stopped));
}

TEST_F(DebugClient, NamesASocketThatCannotBeReached) {
    const std::filesystem::path none = folder_.path() / "none.sock";
    EXPECT_THAT(failure(spawn(debug::measure(io_.get_executor(), none))), HasSubstr("none.sock"));
    const std::filesystem::path too_long = folder_.path() / std::string(200, 'x');
    EXPECT_THAT(failure(spawn(debug::measure(io_.get_executor(), too_long))), HasSubstr("xxx: File name too long"));
}

}  // namespace
