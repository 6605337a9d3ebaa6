#include "exeunit/lanes.h"

#include <gtest/gtest.h>

namespace {

using exeunit::Lanes;
using exeunit::Stream;

ya_runtime_api::ProcessStatus last_status(uint64_t pid, int code) {
    ya_runtime_api::ProcessStatus status;
    status.set_pid(pid);
    status.set_return_code(code);
    return status;
}

// Everything that can be taken, as "PID:out:TEXT", "PID:err:TEXT" and "PID:end:CODE".
std::vector<std::string> take_all(Lanes& lanes) {
    std::vector<std::string> events;
    while (auto event = lanes.next()) {
        const std::string pid = std::to_string(event->pid);
        EXPECT_EQ(event->status.pid(), event->pid);
        EXPECT_EQ(event->status.stdout().size() + event->status.stderr().size(), event->bytes);
        if (!event->status.running()) {
            events.push_back(pid + ":end:" + std::to_string(event->status.return_code()));
        } else {
            events.push_back(pid + (event->stream == Stream::out ? ":out:" + event->status.stdout() : ":err:" + event->status.stderr()));
        }
    }
    return events;
}

using Events = std::vector<std::string>;

TEST(Lanes, SendsTheLastStatusAfterAllOutput) {
    Lanes lanes;
    lanes.finish(last_status(7, 0));
    lanes.output(7, Stream::err, "e");
    lanes.output(7, Stream::out, "o");
    EXPECT_EQ(take_all(lanes), (Events{"7:out:o", "7:err:e", "7:end:0"}));
}

TEST(Lanes, CutsOutputAtTheLargestEvent) {
    Lanes lanes;
    std::string data(Lanes::kMaxEvent * 2 + 5, 'x');
    for (size_t i = 0; i < data.size(); i++)
        data[i] = static_cast<char>('a' + i % 23);
    lanes.output(1, Stream::out, data);
    std::string taken;
    std::vector<size_t> sizes;
    while (auto event = lanes.next()) {
        taken += event->status.stdout();
        sizes.push_back(event->bytes);
    }
    EXPECT_EQ(taken, data);
    EXPECT_EQ(sizes, (std::vector<size_t>{Lanes::kMaxEvent, Lanes::kMaxEvent, 5}));
}

TEST(Lanes, PutsSmallPiecesTogether) {
    Lanes lanes;
    for (int i = 0; i < 1000; i++)
        lanes.output(1, Stream::out, "ab");
    const auto event = lanes.next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->bytes, 2000U);
    EXPECT_TRUE(lanes.idle());
}

TEST(Lanes, ProcessesTakeTurns) {
    Lanes lanes;
    lanes.output(1, Stream::out, std::string(Lanes::kMaxEvent * 10, 'x'));
    lanes.output(2, Stream::out, "echo");
    lanes.finish(last_status(2, 0));
    EXPECT_EQ(lanes.next()->pid, 1U);
    EXPECT_EQ(lanes.next()->status.stdout(), "echo");
    EXPECT_EQ(lanes.next()->pid, 1U);
    const auto end = lanes.next();
    EXPECT_EQ(end->pid, 2U);
    EXPECT_FALSE(end->status.running());
}

TEST(Lanes, StreamsOfOneProcessTakeTurns) {
    Lanes lanes;
    lanes.output(1, Stream::out, std::string(Lanes::kMaxEvent * 3, 'x'));
    lanes.output(1, Stream::err, "warning");
    EXPECT_EQ(lanes.next()->stream, Stream::out);
    EXPECT_EQ(lanes.next()->stream, Stream::err);
    EXPECT_EQ(lanes.next()->stream, Stream::out);
    EXPECT_EQ(lanes.next()->stream, Stream::out);
    EXPECT_TRUE(lanes.idle());
}

}  // namespace
