// The local debugger: driven through pipes as a script would, and at a terminal as a person would (docs/spec/cli.md, ya-runtime-dbg).
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>

#include "at_terminal.h"
#include "dbg_fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(DbgTest, ExecPassesOutputAndExitCodeThrough) {
    const Output output = run_program(dbg({"--exec", R"(printf 'a\000\377b'; printf 'to stderr' >&2; exit 7)"}));
    EXPECT_EQ(output.out, std::string("a\0\xff"
                                      "b",
                                      4));
    EXPECT_EQ(output.err, "to stderr");
    EXPECT_EQ(output.code, 7);
    EXPECT_TRUE(fs::is_empty(workdir / "tmp"));  // the temporary workdir is gone
}

TEST_F(DbgTest, ExecOfACommandKilledBySignal) {
    EXPECT_EQ(run_program(dbg({"--exec", "kill -SEGV $$"})).code, 128 + SIGSEGV);
}

TEST_F(DbgTest, ExecModeSplitsTheLine) {
    const Output output = run_program(dbg({"--exec-mode", "EXEC", "--exec", "/bin/printf '<%s>' \"two words\" $HOME \\'"}));
    EXPECT_EQ(output.out, "<two words><$HOME><'>");
    EXPECT_EQ(output.code, 0);
}

TEST_F(DbgTest, ShellOfChoiceAndFallback) {
    EXPECT_EQ(run_program(dbg({"--exec-shell", "ash", "--exec", "echo $0"})).out, "ash\n");
    EXPECT_EQ(run_program(dbg({"--exec", "echo $0"})).out, "sh\n");  // the image has no bash
}

TEST_F(DbgTest, LinesFromAPipe) {
    const Output output = pipe_in("echo one\n\necho two >&2\n  \nexit 3; echo never\ncat; echo three\nsh -c 'exit 5'", dbg({}));
    EXPECT_EQ(output.out, "one\nthree\n");
    EXPECT_EQ(output.err, "two\n");  // no prompt, no comment
    EXPECT_EQ(output.code, 5);
}

TEST_F(DbgTest, FailedLinesDoNotEndTheSession) {
    const Output output = pipe_in("/no/such/program\n/bin/echo 'open\n/bin/echo alive\n", dbg({"--exec-mode", "exec"}));
    EXPECT_EQ(output.out, "alive\n");
    EXPECT_THAT(output.err, testing::AllOf(StartsWith("error: "), HasSubstr("/no/such/program: No such file or directory\n"),
                                           HasSubstr("a quote (') is not closed\n")));
    EXPECT_EQ(output.code, 0);
}

TEST_F(DbgTest, ExecOfAMissingProgramSaysSo) {
    const Output output = run_program(dbg({"--exec-mode", "exec", "--exec", "/no/such/program"}));
    EXPECT_EQ(output.code, 1);
    EXPECT_EQ(output.out, "");
    EXPECT_THAT(output.err, testing::AllOf(StartsWith("error: "), HasSubstr("/no/such/program: No such file or directory\n")));
}

TEST_F(DbgTest, WorkdirOfOnesOwnStaysAndNeedsNoSecondDeploy) {
    task_package = image("configured");
    const Output first = run_program(dbg({"-w", "made/here", "--exec", "echo kept > /golem/output/file"}));
    EXPECT_EQ(first.code, 0) << first.err;
    EXPECT_EQ(run_program(dbg({"-w", "made/here", "--no-deploy", "--exec", "cat /golem/output/file"})).out, "kept\n");
    EXPECT_FALSE(fs::is_empty(workdir / "made/here"));
}

TEST_F(DbgTest, RuntimeArgumentsGoBeforeTheSubCommandAndOthersBehind) {
    const std::string spy = workdir / "spy";
    std::ofstream(spy) << "#!/bin/sh\necho \"$@\" >> calls\ncase \"$*\" in *deploy*) echo '{}' ;; esac\nexit 0\n";
    fs::permissions(spy, fs::perms::owner_all);
    task_package = image("plain");
    const Output output = run_program({program("ya-runtime-dbg"), "-r", "spy", "-w", workdir, "-t", task_package, "--start-arg=-s",
                                       "--exec", "true", "--deploy-arg", "d1", "d2", "--", "--cpu-cores", "2"});
    EXPECT_EQ(output.code, 1);  // it ends at once, which is no VM
    const std::string common = "--workdir " + workdir.string() + " --task-package " + task_package.string() + " --cpu-cores 2 ";
    EXPECT_EQ(text_of(workdir / "calls"), common + "deploy d1 d2\n" + common + "start -s\n");
}

TEST_F(DbgTest, VmThatCannotStartIsExplained) {
    task_package = workdir / "bad.gvmi";
    std::ofstream(task_package) << "no image";
    const Output bad_image = run_program(dbg({"--exec", "true"}));
    EXPECT_EQ(bad_image.code, 1);
    EXPECT_THAT(bad_image.err, testing::AllOf(HasSubstr("bad.gvmi"), HasSubstr("error: deploy failed with exit code 1\n")));
    task_package = image("plain");
    const Output no_entrypoint = run_program(dbg({"--start-arg", "start-entrypoint", "--exec", "true"}));
    EXPECT_EQ(no_entrypoint.code, 1);
    EXPECT_THAT(no_entrypoint.err, HasSubstr("error: the VM did not start: "));
    EXPECT_TRUE(fs::is_empty(workdir / "tmp"));
}

TEST_F(DbgTest, ReaderThatGoesAwayEndsTheVm) {
    std::vector<std::string> argv{"/bin/sh", "-c", "\"$@\" | head -n 1", "sh"};
    const auto command = dbg({"--exec", "yes"});
    argv.insert(argv.end(), command.begin(), command.end());
    EXPECT_EQ(run_program(argv).out, "y\n");
}

TEST_F(DbgTest, PromptAtATerminal) {
    task_package = image("configured");
    AtTerminal terminal(dbg({"--exec-mode", "shell", "--exec-shell", "sh"}));
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("volume /golem/output: " + (workdir / "tmp").string()));
    terminal.type("echo $((6*7))\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("\r42\r\n[exit 0, "));
    terminal.type("exit 3; x\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("\r[exit 3, "));
    terminal.type("half a line\x03");  // Ctrl-C at the prompt
    terminal.until("sh> ");
    terminal.type("true\n");
    terminal.until("sh> ");
    terminal.type("\x04");
    EXPECT_EQ(terminal.exit_code(), 0);
}

TEST_F(DbgTest, WhatDiffersFromDockerIsToldOnceToAPersonOnly) {
    task_package = image("configured");
    const std::string entrypoint = "the entrypoint runs only where the requestor starts the VM with start-entrypoint";
    AtTerminal terminal(dbg({"--exec-mode", "shell", "--exec-shell", "sh"}));
    EXPECT_THAT(terminal.until("sh> "),
                testing::ContainsRegex("What differs from Docker.*\r\n  1 files .* below the volume \"/data\" cannot be "
                                       "seen.*\r\n  " +
                                       entrypoint));
    terminal.type("true\n");
    EXPECT_THAT(terminal.until("sh> "), Not(HasSubstr(entrypoint)));
    terminal.type("\x04");
    EXPECT_EQ(terminal.exit_code(), 0);
    AtTerminal without(dbg({"--exec-mode", "shell", "--exec-shell", "sh", "--no-lint"}));
    EXPECT_THAT(without.until("sh> "), Not(HasSubstr("Docker")));
    without.type("\x04");
    EXPECT_EQ(without.exit_code(), 0);
    EXPECT_EQ(run_program(dbg({"--exec", "true"})).err, "");
}

TEST_F(DbgTest, CtrlCReachesTheCommandAndNotTheVm) {
    AtTerminal terminal(dbg({"--exec-mode", "shell", "--exec-shell", "sh"}));
    terminal.until("sh> ");
    terminal.type("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done\n");
    terminal.until("\rready");
    terminal.type("\x03");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("caught\r\n[exit 9, "));
    terminal.type("trap '' INT; echo deaf; while :; do sleep 0.1; done\n");
    terminal.until("\rdeaf");
    terminal.type("\x03\x1c");  // Ctrl-C is ignored; Ctrl-\ is not
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("[exit 137, "));
    terminal.type("echo alive\nexit\n");
    terminal.until("\ralive");
    EXPECT_EQ(terminal.exit_code(), 0);
}

TEST_F(DbgTest, CtrlCOfExecIsTheCommandsEnd) {
    AtTerminal terminal(dbg({"--exec", "echo ready; sleep 1000"}));
    terminal.until("ready");
    terminal.type("\x03");
    EXPECT_EQ(terminal.exit_code(), 128 + SIGINT);
}

TEST_F(DbgTest, TerminationTakesTheVmAlong) {
    AtTerminal terminal(dbg({"--exec", "echo ready; sleep 1000"}));
    terminal.until("ready");
    (void)::kill(terminal.pid(), SIGTERM);
    EXPECT_EQ(terminal.exit_code(), 128 + SIGTERM);
    EXPECT_TRUE(fs::is_empty(workdir / "tmp"));
}

}  // namespace
}  // namespace system_test
