// The local debugger with the debug channel: an image's shell at a terminal, one command with our standard streams
// (docs/spec/cli.md, ya-runtime-dbg).
#include <gmock/gmock.h>

#include "at_terminal.h"
#include "dbg_fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

class DbgTerminalTest : public DbgTest {
protected:
    // A command line for /bin/sh, in which "$@" is the debugger with these options.
    Output shell(const std::string& line, const std::vector<std::string>& options) {
        std::vector<std::string> argv{"/bin/sh", "-c", line, "sh"};
        const auto command = dbg(options);
        argv.insert(argv.end(), command.begin(), command.end());
        return run_program(argv);
    }
};

TEST_F(DbgTerminalTest, ShellAtATerminal) {
    (void)::setenv("TERM", "vt220", 1);
    AtTerminal terminal(dbg({"--env", "PS1=seat> "}));
    terminal.until("seat> ");
    terminal.type("echo $((6*7)) $TERM; tty\r");
    EXPECT_THAT(terminal.until("seat> "), HasSubstr("\r\n42 vt220\r\n/dev/pts/"));
    terminal.type("cd /tmp; X=kept\r");
    terminal.until("seat> ");
    terminal.type("echo $PWD $X\r");
    EXPECT_THAT(terminal.until("seat> "), HasSubstr("\r\n/tmp kept\r\n"));  // one process, other than lines
    terminal.type("(exit 5)\r");
    terminal.until("seat> ");
    terminal.type("\x04");  // Ctrl-D
    EXPECT_EQ(terminal.exit_code(), 5);
    EXPECT_TRUE(fs::is_empty(workdir / "tmp"));
}

TEST_F(DbgTerminalTest, ExecPassesInputThroughByteForByte) {
    const Output output =
        shell("head -c 3000000 /dev/urandom > in; \"$@\" < in > out; echo $? $(cmp in out && echo same)", {"--exec", "cat; exit 3"});
    EXPECT_EQ(output.out, "3 same\n") << output.err;
}

TEST_F(DbgTerminalTest, ProgramThatReadsNothingBlocksNobody) {
    const Output output = shell("yes | \"$@\"", {"--exec", "echo done; exit 4"});
    EXPECT_EQ(output.out, "done\n");
    EXPECT_EQ(output.code, 4);
    // The early end of its stdin is not its end.
    EXPECT_EQ(shell("yes | \"$@\"", {"--exec", "exec <&-; sleep 1; echo done"}).out, "done\n");
}

TEST_F(DbgTerminalTest, OptionsThatNeedTheChannelSaySo) {
    const Output output = run_program(dbg({"--exec-mode", "shell", "--env", "A=b", "--exec", "true"}));
    EXPECT_EQ(output.code, 1);
    EXPECT_EQ(output.err, "error: --env: not with --exec-mode, since a requestor cannot ask for it\n");
}

}  // namespace
}  // namespace system_test
