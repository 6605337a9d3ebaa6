#include "vm/qmp.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <future>

#include "base/subprocess.h"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class Qmp : public testing::Test {
protected:
    // Runs a coroutine to its end; what it throws is thrown.
    void run(asio::awaitable<void> body) {
        std::exception_ptr error;
        bool done = false;
        asio::co_spawn(io_, std::move(body), [&](std::exception_ptr e) {
            error = std::move(e);
            done = true;
            io_.stop();
        });
        io_.restart();
        io_.run_for(20s);
        ASSERT_TRUE(done) << "no answer in time";
        if (error) std::rethrow_exception(error);
    }

    // Connects to a peer that has sent `text`.
    void connect_to_peer(const std::string& text) {
        auto [ours, theirs] = base::socket_pair();
        peer_ = std::move(theirs);
        base::write_all(peer_.get(), text, "socket");
        qmp_ = std::make_unique<vm::Qmp>(io_.get_executor(), std::move(ours), [this](const std::string& name, const nlohmann::json& data) {
            events_.push_back(name + " " + data.dump());
        });
    }

    void start_qemu() {
        auto [ours, theirs] = base::socket_pair();
        qemu_ = base::spawn({.argv = {GVMKIT_QEMU, "-M", "none", "-nodefaults", "-nographic", "-chardev", "socket,id=qmp,fd=3", "-mon",
                                      "chardev=qmp,mode=control"},
                             .environment = {},
                             .fds = {{theirs.get(), 3}}});
        qmp_ = std::make_unique<vm::Qmp>(io_.get_executor(), std::move(ours),
                                         [this](const std::string& name, const nlohmann::json&) { events_.push_back(name); });
    }

    void expect_refused(const std::string& text, const char* why) {
        connect_to_peer(text);
        try {
            run(qmp_->connect());
            ADD_FAILURE() << text.substr(0, 100);
        } catch (const vm::QmpError& e) {
            EXPECT_STREQ(e.what(), why);
        }
    }

    asio::io_context io_;
    base::UniqueFd peer_;
    base::Child qemu_;
    std::vector<std::string> events_;
    std::unique_ptr<vm::Qmp> qmp_;
};

asio::awaitable<void> ask_status(vm::Qmp& qmp) {
    co_await qmp.connect();
    const nlohmann::json status = co_await qmp.execute("query-status");
    EXPECT_EQ(status.at("status"), "running");
}

asio::awaitable<void> pass_descriptor(vm::Qmp& qmp, int fd) {
    co_await qmp.connect();
    nlohmann::json arguments;
    arguments["fdname"] = "state";
    co_await qmp.execute("getfd", arguments, fd);
    co_await qmp.execute("closefd", arguments);
    co_await qmp.execute("closefd", arguments);
}

asio::awaitable<void> quit(vm::Qmp& qmp) {
    co_await qmp.connect();
    co_await qmp.execute("quit");
}

TEST_F(Qmp, AsksTheRealQemu) {
    start_qemu();
    run(ask_status(*qmp_));
}

TEST_F(Qmp, PassesADescriptorAndReportsErrors) {
    start_qemu();
    const base::UniqueFd fd = base::open_file("/dev/null", O_RDONLY);
    try {
        run(pass_descriptor(*qmp_, fd.get()));
        FAIL();
    } catch (const vm::QmpError& e) {
        EXPECT_STREQ(e.what(), "QEMU: closefd: File descriptor named 'state' not found");  // the second time alone
    }
}

TEST_F(Qmp, HearsEvents) {
    start_qemu();
    run(quit(*qmp_));
    EXPECT_EQ(base::exit_code(qemu_.wait()), 0);
    io_.restart();
    io_.run_for(60s);  // ends by itself: the connection is closed
    EXPECT_EQ(events_, std::vector<std::string>{"SHUTDOWN"});
}

TEST_F(Qmp, RefusesWhatIsNotQmp) {
    constexpr const char* kWhy = "QEMU: greeting: the connection has ended";
    expect_refused("hello\n", kWhy);
    expect_refused("[]\n", kWhy);
    expect_refused("{\"event\": 5}\n", kWhy);
    expect_refused("{\"return\": {}}\n", kWhy);
    expect_refused("{\"return\": {}, \"id\": 7}\n", kWhy);
    expect_refused("{\"return\": {}, \"id\": \"x\"}\n", kWhy);
    expect_refused(std::string(60000, '[') + "\n", kWhy);
    expect_refused("{\"a\": \"" + std::string(70000, 'x'), kWhy);
}

TEST_F(Qmp, FailsWhatWaitsWhenTheConnectionEnds) {
    connect_to_peer("{\"QMP\": {}}\n{\"return\": {}, \"id\": 1}\n");
    asio::co_spawn(io_, qmp_->connect(), [this](const std::exception_ptr& e) {
        EXPECT_FALSE(e);
        peer_.reset();
    });
    EXPECT_THROW(run(ask_status(*qmp_)), vm::QmpError);
    EXPECT_THROW(run(quit(*qmp_)), vm::QmpError);
}

}  // namespace
