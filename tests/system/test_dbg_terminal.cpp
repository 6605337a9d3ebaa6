// The local debugger with the debug channel: an image's shell at a terminal, one command with our standard streams
// (docs/spec/cli.md, ya-runtime-dbg).
#include <gmock/gmock.h>
#include <sys/ioctl.h>

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

TEST_F(DbgTerminalTest, JobControl) {
    AtTerminal terminal(dbg({"--env", "PS1=seat> "}));
    terminal.until("seat> ");
    // What it prints says that it runs, and that it is continued, and differs from what is typed.
    terminal.type("sh -c 'trap \"echo again $((6*7))\" CONT; echo up $((6*7)); while :; do sleep 0.1; done'\r");
    terminal.until("up 42\r\n");
    terminal.type("\x1a");  // Ctrl-Z
    terminal.until("Stopped");
    terminal.until("seat> ");
    terminal.type("fg\r");
    terminal.until("again 42\r\n");
    terminal.type("\x1a");
    terminal.until("Stopped");
    terminal.until("seat> ");
    terminal.type("bg\r");
    terminal.until("again 42\r\n");
    terminal.type("jobs\r");
    terminal.until("Running");
    terminal.type("fg\r");
    terminal.until("again 42\r\n");
    terminal.type("\x03");  // Ctrl-C
    terminal.until("seat> ");
    terminal.type("exit 3\r");
    EXPECT_EQ(terminal.exit_code(), 3);
}

TEST_F(DbgTerminalTest, ProgramFollowsTheTerminalsSize) {
    AtTerminal terminal(dbg({"--exec", "trap 'stty size; exit 4' WINCH; echo up; while :; do sleep 0.1; done"}));
    terminal.until("up\r\n");
    const winsize size{.ws_row = 33, .ws_col = 111, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::ioctl(terminal.master(), TIOCSWINSZ, &size), 0);
    EXPECT_EQ(terminal.until("33 111\r\n"), "33 111\r\n");
    EXPECT_EQ(terminal.exit_code(), 4);
}

TEST_F(DbgTerminalTest, LocalTerminalIsRestoredHoweverTheVmEnds) {
    for (const int signal : {SIGTERM, SIGHUP, SIGKILL}) {
        std::vector<std::string> argv{"/bin/sh", "-c", "stty -g; \"$@\"; stty -g", "sh"};
        const auto command = dbg({"--env", "PS1=seat> "});
        argv.insert(argv.end(), command.begin(), command.end());
        AtTerminal terminal(argv);
        const std::string before = terminal.until("\r\n");
        terminal.until("seat> ");
        const pid_t debugger = child_named(terminal.pid(), "ya-runtime-dbg");
        // SIGKILL is for the runtime: nobody restores what a killed debugger has changed.
        ASSERT_EQ(::kill(signal == SIGKILL ? child_named(debugger, "ya-runtime-vm") : debugger, signal), 0);
        EXPECT_NO_THROW(terminal.until(before)) << "after signal " << signal;
        EXPECT_EQ(terminal.exit_code(), 0);
    }
}

TEST_F(DbgTerminalTest, TerminalIsTheCallersChoice) {
    EXPECT_THAT(shell("\"$@\" | cat", {"--tty", "--exec", "tty"}).out, HasSubstr("/dev/pts/"));
    AtTerminal terminal(dbg({"--no-tty", "--exec", "tty; exit 6"}));
    terminal.until("not a tty\r\n");
    EXPECT_EQ(terminal.exit_code(), 6);
}

TEST_F(DbgTerminalTest, UserFolderAndEnvironmentReplaceTheImages) {
    task_package = image("configured");
    const Output output = run_program(dbg({"--user", "root:staff", "--cwd", "/tmp/made here", "--env", "COLOUR=green", "--env", "TMPDIR",
                                           "--exec", R"(id -u; id -g; pwd; echo "$COLOUR|$TMPDIR|$EMPTY|$HOME"; answer)"}));
    EXPECT_EQ(output.out, "0\n50\n/tmp/made here\ngreen|" + (workdir / "tmp").string() + "||/root\n42\n") << output.err;
}

TEST_F(DbgTerminalTest, PublishedPortGivesThePage) {
    const std::string script =
        "mkdir /www; head -c 5000000 /dev/urandom > /www/page; httpd -p 127.0.0.1:80 -h /www; sha256sum < /www/page; exec sleep 1000";
    AtTerminal terminal(dbg({"--no-tty", "--publish", "0:80", "--publish", "0:81", "--exec", script}));
    const auto published = [&terminal](const std::string& guest) {
        terminal.until("127.0.0.1:");
        const std::string port = terminal.until(" -> " + guest + "\r\n");
        return "http://127.0.0.1:" + port.substr(0, port.find(' '));
    };
    const std::string page = published("80") + "/page";
    const std::string nothing = published("81");
    std::string sum = terminal.until("  -\r\n");
    sum.erase(sum.find('\r'), 1);
    EXPECT_EQ(run_program({"/bin/sh", "-c", "curl -s " + page + " | sha256sum"}).out, sum);
    EXPECT_NE(run_program({"/usr/bin/curl", "-s", nothing}).code, 0);  // and the VM goes on
    EXPECT_EQ(run_program({"/bin/sh", "-c", "curl -s " + page + " | sha256sum"}).out, sum);
    ASSERT_EQ(::kill(terminal.pid(), SIGTERM), 0);
    EXPECT_EQ(terminal.exit_code(), 128 + SIGTERM);
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
