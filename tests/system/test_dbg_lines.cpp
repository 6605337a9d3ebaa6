// The debugger's prompt: what a person types at a terminal, also with a runtime that speaks the standard protocol alone (docs/spec/cli.md).
#include <gmock/gmock.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include <csignal>
#include <fstream>

#include "at_terminal.h"
#include "dbg_fixture.h"

namespace system_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kCtrlC = "\x03";
constexpr const char* kCtrlD = "\x04";
constexpr const char* kUp = "\x1b[A";
constexpr const char* kHome = "\x01";

class DbgLinesTest : public DbgTest {
protected:
    // A runtime that knows the supervisor's options and nothing else.
    fs::path standard_runtime() {
        fs::path file = workdir / "standard-runtime";
        std::ofstream(file) << "#!/bin/sh\n"
                               "options=0\n"
                               "for a in \"$@\"; do\n"
                               "  if [ $options = value ]; then options=0; continue; fi\n"
                               "  case $a in\n"
                               "    --workdir|--task-package|--cpu-cores|--mem-gib|--storage-gib) options=value ;;\n"
                               "    deploy|start) break ;;\n"
                               "    *) echo \"unknown option $a\" >&2; exit 2 ;;\n"
                               "  esac\n"
                               "done\n"
                               "exec "
                            << program("ya-runtime-vm") << " --accel tcg \"$@\"\n";
        fs::permissions(file, fs::perms::owner_all);
        return file;
    }

    std::vector<std::string> dbg_lines(const std::vector<std::string>& options = {}) {
        std::vector<std::string> argv{
            program("ya-runtime-dbg"), "-t", task_package, "--runtime", standard_runtime(), "--exec-mode", "shell", "--exec-shell", "sh"};
        argv.insert(argv.end(), options.begin(), options.end());
        return argv;
    }
};

TEST_F(DbgLinesTest, EditingHistoryExitCodeAndTime) {
    AtTerminal terminal(dbg_lines());
    terminal.until("sh> ");
    terminal.type("cho $((6*7))" + std::string(kHome) + "e\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("\r42\r\n[exit 0, "));
    terminal.type("exit 3\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("\r[exit 3, "));
    terminal.type(std::string(kUp) + kUp + "\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("\r42\r\n[exit 0, "));
    terminal.type("printf unfinished\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("unfinished\r\n[exit 0, "));
    terminal.type(kCtrlD);
    EXPECT_EQ(terminal.exit_code(), 0);

    // Another one knows what was typed here.
    const fs::path history = workdir / "state/gvmkit/dbg_history";
    EXPECT_EQ(text_of(history), "echo $((6*7))\nexit 3\necho $((6*7))\nprintf unfinished\n");
    EXPECT_EQ(fs::status(history).permissions(), fs::perms(0600));
    AtTerminal second(dbg_lines());
    second.until("sh> ");
    second.type(std::string(kUp) + kUp + kUp + "\n");
    EXPECT_THAT(second.until("sh> "), HasSubstr("[exit 3, "));
    second.type("exit\n");
    EXPECT_EQ(second.exit_code(), 3);
}

TEST_F(DbgLinesTest, PathsOfTheGuestAreCompleted) {
    task_package = image("configured");
    AtTerminal terminal(dbg_lines());
    terminal.until("sh> ");
    terminal.type("cat /etc/pass\t");
    terminal.until("wd ");
    terminal.type("\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("root:x:0:0"));
    terminal.type("mkdir '/tmp/a b' && touch '/tmp/a b/one' '/tmp/a b/two' \"/tmp/a b/$(printf 'w\\033[2Jx')\"\n");
    terminal.until("[exit 0, ");
    terminal.until("sh> ");
    terminal.type("ls /tmp/a\t\t\t");
    const std::string list = terminal.until("[2Jx");
    EXPECT_THAT(list, AllOf(HasSubstr("a\\ b/"), HasSubstr("one"), HasSubstr("w\\x1b[2Jx"), Not(HasSubstr("\x1b[2J"))));
    terminal.type("w\t");  // is not put into the line
    terminal.type(kCtrlC);
    terminal.until("sh> ");
    terminal.type("ls /no/such/pla\tce\n");
    EXPECT_THAT(terminal.until("[exit 1, "), HasSubstr("/no/such/place: No such file"));
    terminal.until("sh> ");
    terminal.type(kCtrlD);
    EXPECT_EQ(terminal.exit_code(), 1);
}

TEST_F(DbgLinesTest, CtrlCClearsTheLineOrInterruptsTheCommand) {
    AtTerminal terminal(dbg_lines());
    terminal.until("sh> ");
    terminal.type("echo half a li");
    terminal.until("half a li");
    terminal.type(kCtrlC);
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("^C"));
    terminal.type("echo $((40+2)); sleep 1000\n");
    terminal.until("\r42");
    terminal.type(kCtrlC);
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("^C\r\n[exit 130, "));
    // Nobody could wake us from Ctrl-Z here, so it stops nothing.
    terminal.type("echo $((50-8))");
    terminal.until("50-8))");
    terminal.type("\x1a");
    terminal.until("sh> echo $((50-8))");
    terminal.type("\n");
    terminal.until("\r42");
    terminal.until("sh> ");
    terminal.type("exit\n");
    EXPECT_EQ(terminal.exit_code(), 0);
}

TEST_F(DbgLinesTest, NarrowTerminalsAndNewSizes) {
    AtTerminal terminal(dbg_lines());
    terminal.until("sh> ");
    winsize size{.ws_row = 10, .ws_col = 30, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::ioctl(terminal.master(), TIOCSWINSZ, &size), 0);
    // Longer than a line; begins anew when the size changes in the middle.
    terminal.type("echo a-long-line-that-does-not-fit");
    terminal.until("fit");
    size.ws_col = 20;
    ASSERT_EQ(::ioctl(terminal.master(), TIOCSWINSZ, &size), 0);
    terminal.type("-");
    terminal.type(kHome);
    terminal.type("X=$((6*7)); \x05$X\n");
    terminal.until("\ra-long-line-that-does-not-fit-42");
    terminal.until("sh> ");
    terminal.type("exit\n");
    EXPECT_EQ(terminal.exit_code(), 0);
}

TEST_F(DbgLinesTest, TerminalIsAsBeforeHoweverItEnds) {
    for (const int signal : {0, SIGTERM, SIGHUP}) {
        AtTerminal terminal(dbg_lines());
        termios before{};
        termios after{};
        ASSERT_EQ(::tcgetattr(terminal.master(), &before), 0);
        terminal.until("sh> ");
        if (signal != 0) (void)::kill(terminal.pid(), signal);
        if (signal == 0) terminal.type(kCtrlD);
        EXPECT_EQ(terminal.exit_code(), signal == 0 ? 0 : 128 + signal);
        ASSERT_EQ(::tcgetattr(terminal.master(), &after), 0);
        EXPECT_EQ(after.c_lflag, before.c_lflag);
        EXPECT_EQ(after.c_iflag, before.c_iflag);
    }
}

TEST_F(DbgLinesTest, ExecModeAtTheTerminalAndLinesFromAPipe) {
    AtTerminal terminal({program("ya-runtime-dbg"), "-t", task_package, "--runtime", standard_runtime(), "--exec-mode", "exec"});
    terminal.until("exec> ");
    terminal.type("/bin/echo 'a  b' $HOME\n");
    EXPECT_THAT(terminal.until("exec> "), HasSubstr("\ra  b $HOME\r\n[exit 0, "));
    terminal.type("/bin/no-such\n");
    EXPECT_THAT(terminal.until("exec> "), HasSubstr("error: "));
    terminal.type(kCtrlD);
    EXPECT_EQ(terminal.exit_code(), 1);
    const Output piped = pipe_in("echo one\nexit 4\n", dbg_lines());
    EXPECT_EQ(piped.out, "one\n");
    EXPECT_EQ(piped.err, "");
    EXPECT_EQ(piped.code, 4);
    EXPECT_EQ(text_of(workdir / "state/gvmkit/dbg_history"), "/bin/echo 'a  b' $HOME\n/bin/no-such\n");  // of what was typed alone
}

}  // namespace
}  // namespace system_test
