// No byte lost, none invented, in order, before the final status; and the runtime stays small (docs/spec/exe-unit.md, rule 3).
#include <gmock/gmock.h>

#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "base/hash.h"
#include "fixture.h"

namespace system_test {
namespace {

// A sanitizer keeps what was freed, 256 MiB of it, and puts red zones around each block.
#ifdef __SANITIZE_ADDRESS__
constexpr uint64_t kMemoryLimit = 800 << 20;
#else
constexpr uint64_t kMemoryLimit = 100 << 20;
#endif
constexpr size_t kMaxEvent = 32 << 10;

// The highest memory of the runtime itself, looked at ten times a second while the pipe is served.
class MemoryWatch {
public:
    explicit MemoryWatch(Runtime& vm) : vm_(vm), timer_(vm.io()) { look(); }
    // Stops looking, as must happen before the runtime ends, and returns the highest.
    uint64_t stop() {
        timer_.cancel();
        ended_ = true;
        return highest_;
    }

private:
    void look() {
        highest_ = std::max(highest_, vm_.own_memory_bytes());
        timer_.expires_after(100ms);
        timer_.async_wait([this](boost::system::error_code error) {
            if (!error && !ended_) look();
        });
    }

    Runtime& vm_;
    boost::asio::steady_timer timer_;
    uint64_t highest_ = 0;
    bool ended_ = false;
};

// What arrived of one stream.
struct Arrived {
    base::Hasher hash{base::Hasher::Kind::sha256};
    uint64_t bytes = 0;

    void take(const std::string& data) {
        hash.update(std::as_bytes(std::span(data)));
        bytes += data.size();
    }
};

class OutputTest : public SystemTest {
protected:
    void boot(const std::vector<std::string>& options = {}) {
        deploy(options);
        vm = start(options);
    }
    std::string says(const std::string& script) {
        const Process process = vm->sh(script);
        EXPECT_EQ(process.code, 0) << script << ": " << process.err;
        return process.out;
    }

    void TearDown() override {
        vm.reset();
        SystemTest::TearDown();
    }

    std::unique_ptr<Runtime> vm;
};

// Both streams at once, summed up by sha256sum inside on the way; random, so that no byte can be taken for another.
TEST_F(OutputTest, GigabyteOnBothStreamsArrivesWhole) {
    constexpr uint64_t kOut = uint64_t{1} << 30;
    constexpr uint64_t kErr = uint64_t{256} << 20;
    boot({"--cpu-cores", "2"});
    MemoryWatch memory(*vm);
    Arrived out;
    Arrived err;
    size_t longest = 0;
    uint64_t after_end = 0;
    bool ended = false;
    const auto take = [&](const api::ProcessStatus& status) {
        if (ended) after_end++;
        ended = !status.running();
        longest = std::max(longest, status.stdout().size() + status.stderr().size());
        out.take(status.stdout());
        err.take(status.stderr());
    };
    const std::string script = R"(
        mkfifo /tmp/1 /tmp/2
        sha256sum < /tmp/1 > /tmp/out.sum & sha256sum < /tmp/2 > /tmp/err.sum &
        dd if=/dev/urandom bs=64k count=16384 2> /dev/null | tee /tmp/1 &
        dd if=/dev/urandom bs=64k count=4096 2> /dev/null | tee /tmp/2 >&2
        wait)";
    const auto process = vm->begin({"/bin/sh", "-c", script}, {.status = take});
    vm->finish(process, 900s);
    EXPECT_EQ(process->code, 0);
    EXPECT_EQ(out.bytes, kOut);
    EXPECT_EQ(err.bytes, kErr);
    EXPECT_EQ(says("cat /tmp/out.sum"), out.hash.hex() + "  -\n");
    EXPECT_EQ(says("cat /tmp/err.sum"), err.hash.hex() + "  -\n");
    EXPECT_LE(longest, kMaxEvent);
    EXPECT_EQ(after_end, 0);
    const uint64_t highest = memory.stop();
    EXPECT_LT(highest, kMemoryLimit);
    RecordProperty("highest_memory_bytes", std::to_string(highest));
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(OutputTest, ThousandShortCommandsEachDeliverTheirOutput) {
    boot();
    for (int i = 0; i < 1000; i++) {
        const std::string number = std::to_string(i);
        const Process process = vm->run({"echo", "out", number});
        ASSERT_EQ(process.out, std::string("out ").append(number).append("\n"));
        ASSERT_EQ(process.err, "");
        ASSERT_EQ(process.code, 0);
    }
    EXPECT_TRUE(vm->stray().empty());
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(OutputTest, FloodOfOneDoesNotDelayAnother) {
    boot();
    MemoryWatch memory(*vm);
    uint64_t flooded = 0;
    const auto count = [&](const api::ProcessStatus& status) { flooded += status.stdout().size(); };
    const auto flood = vm->begin({"cat", "/dev/zero"}, {.status = count});
    vm->until([&] { return flooded > 8 << 20; });
    for (int i = 0; i < 20; i++) {
        const uint64_t before = flooded;
        EXPECT_EQ(vm->run({"echo", "through"}).out, "through\n");
        EXPECT_LT(flooded - before, 256U << 20) << "what the flood prints while it runs; a busy machine delays both";
        vm->until([&] { return flooded > before; });
    }
    EXPECT_LT(memory.stop(), kMemoryLimit);
    vm->kill(flood->pid);
    vm->finish(flood);
    EXPECT_EQ(flood->code, 128 + SIGKILL);
    EXPECT_EQ(vm->shutdown(), 0);
}

// 64 floods, and a reader that stops: the credits bound what the runtime holds.
TEST_F(OutputTest, MemoryStaysSmallWhileNobodyReads) {
    boot();
    MemoryWatch memory(*vm);
    std::vector<std::shared_ptr<Process>> floods;
    floods.reserve(64);
    std::vector<uint64_t> flooded(64);
    for (uint64_t& bytes : flooded)
        floods.push_back(
            vm->begin({"cat", "/dev/zero"}, {.status = [&bytes](const api::ProcessStatus& s) { bytes += s.stdout().size(); }}));
    vm->until([&] { return std::all_of(flooded.begin(), flooded.end(), [](uint64_t bytes) { return bytes > 0; }); });
    vm->client().set_reading(false);
    vm->serve(3s);
    vm->client().set_reading(true);
    const std::vector<uint64_t> before = flooded;
    vm->until([&] { return std::equal(before.begin(), before.end(), flooded.begin(), std::less<>()); });
    EXPECT_LT(memory.stop(), kMemoryLimit);
    for (const auto& flood : floods)
        vm->kill(flood->pid);
    for (const auto& flood : floods)
        vm->finish(flood);
    EXPECT_EQ(vm->run({"echo", "alive"}).out, "alive\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
