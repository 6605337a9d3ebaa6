// A VM under the debugger, from a second window (docs/spec/cli.md, sub-commands of ya-runtime-dbg).
#include <gmock/gmock.h>

#include <optional>
#include <sstream>
#include <thread>

#include "at_terminal.h"
#include "base/temporary_folder.h"
#include "dbg_fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

class DbgWindowTest : public DbgTest {
protected:
    void SetUp() override {
        DbgTest::SetUp();
        task_package = image("configured");
        (void)::setenv("XDG_RUNTIME_DIR", runtime_folder.path().c_str(), 1);
    }
    Output window(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), program("ya-runtime-dbg"));
        return run_program(arguments);
    }

    static uint64_t anonymous_bytes(pid_t pid) {
        std::istringstream lines(text_of("/proc/" + std::to_string(pid) + "/status"));
        for (std::string word; lines >> word;) {
            uint64_t kib = 0;
            if (word == "RssAnon:" && lines >> kib) return kib << 10;
        }
        throw base::Error("its memory is not known: it has ended");
    }

    base::TemporaryFolder runtime_folder{"/tmp", "vms-"};  // short enough for a socket
};

TEST_F(DbgWindowTest, EachCommandWorksWhileTheFirstWindowFloods) {
    AtTerminal first(dbg({"--name", "box", "--exec", "while :; do echo flood; done"}));
    first.until("flood");
    std::jthread reader([&first](const std::stop_token& stop) {
        while (!stop.stop_requested())
            first.until("flood");
    });
    EXPECT_THAT(window({"ps"}).out, HasSubstr("box "));
    EXPECT_THAT(window({"ps", "--format", "json"}).out, HasSubstr(R"("name":"box")"));
    const Output program = window({"exec", "--env", "A=b", "--cwd", "/tmp", "box", "sh", "-c", "echo $A; pwd; exit 7"});
    EXPECT_EQ(program.out, "b\n/tmp\n");
    EXPECT_EQ(program.code, 7);
    EXPECT_THAT(window({"stats", "box", "--no-stream"}).out, HasSubstr("\nbox "));
    EXPECT_THAT(window({"logs", "box"}).out, HasSubstr("the VM is up"));
    EXPECT_THAT(window({"exec", "other", "true"}).err, HasSubstr("no VM is named \"other\"; running: box"));
    reader.request_stop();
    reader.join();
    EXPECT_EQ(window({"stop", "box"}).code, 0);
    EXPECT_THAT(window({"ps"}).out, Not(HasSubstr("box")));
}

TEST_F(DbgWindowTest, AProgramThatReadsNothingHoldsUpNobody) {
    std::vector<std::string> argv{"/bin/sh", "-c", "yes | \"$@\"", "sh"};
    const auto command = dbg({"--name", "box", "--exec", "echo up; exec sleep 1000"});
    argv.insert(argv.end(), command.begin(), command.end());
    AtTerminal first(argv);
    first.until("up\r\n");
    EXPECT_EQ(window({"exec", "box", "head", "-c", "5000000", "/dev/zero"}).out.size(), 5'000'000U);
    const pid_t debugger = child_named(first.pid(), "ya-runtime-dbg");
    EXPECT_LT(anonymous_bytes(debugger), 32U << 20);
    EXPECT_LT(anonymous_bytes(child_named(debugger, "ya-runtime-vm")), 32U << 20);
    EXPECT_EQ(window({"stop", "box"}).code, 0);
    (void)first.exit_code();
}

TEST_F(DbgWindowTest, AKilledDebuggerLeavesNothing) {
    std::optional<AtTerminal> first(std::in_place, dbg({"--name", "box", "--exec", "echo up; exec sleep 1000"}));
    first->until("up\r\n");
    EXPECT_FALSE(fs::is_empty(workdir / "tmp"));
    AtTerminal second({program("ya-runtime-dbg"), "exec", "--tty", "box", "yes"});
    second.until("y\r\n");
    first.reset();  // SIGKILL
    EXPECT_NE(second.exit_code(), 0);
    EXPECT_EQ(window({"ps", "--format", "json"}).out, "");
    EXPECT_FALSE(fs::exists(runtime_folder.path() / "gvmkit/vms/box"));
    EXPECT_TRUE(fs::is_empty(workdir / "tmp"));
}

}  // namespace
}  // namespace system_test
