// The host's end of the channel, and the guest's in the test's hands.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/client.h"
#include "agent/frame.h"

namespace client_test {

namespace asio = boost::asio;
using namespace std::chrono_literals;

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
        events.input_taken = [this](uint64_t process, uint32_t bytes) {
            said_.push_back("process " + std::to_string(process) + " took " + std::to_string(bytes));
        };
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

    void say_input_taken(uint64_t process, uint32_t bytes) {
        agent::Message message;
        message.mutable_input_taken()->set_process(process);
        message.mutable_input_taken()->set_bytes(bytes);
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

}  // namespace client_test
