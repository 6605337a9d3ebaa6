// A folder of the host's that the debugger keeps current in a volume, and a command that runs again (docs/spec/cli.md, --sync and --run).
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>

#include "at_terminal.h"
#include "dbg_fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

class DbgSyncTest : public DbgTest {
protected:
    void SetUp() override {
        DbgTest::SetUp();
        task_package = image("configured");
        source = workdir / "src";
        fs::create_directories(source / "deep/er");
        write("file", "first\n");
    }
    void write(const std::string& name, const std::string& text) { std::ofstream(source / name) << text; }
    std::vector<std::string> sync(const std::vector<std::string>& options, const std::string& guest = "/golem/output/src") {
        std::vector<std::string> all{"--sync", source.string() + ":" + guest};
        all.insert(all.end(), options.begin(), options.end());
        return dbg(all);
    }

    fs::path source;
};

TEST_F(DbgSyncTest, ChangesReachTheGuest) {
    fs::permissions(source / "file", fs::perms(0755));
    fs::create_symlink("deep/er", source / "link");
    AtTerminal terminal(sync({"--exec-mode", "shell", "--exec-shell", "sh"}));
    terminal.until("sh> ");
    terminal.type("cd /golem/output/src; cat file; ls -ld file link | cut -c1-10; readlink link\n");
    EXPECT_THAT(terminal.until("sh> "), HasSubstr("first\r\n-rwxr-xr-x\r\nlrwxrwxrwx\r\ndeep/er\r\n"));
    // Each waits in the guest until it sees the change.
    const auto wait = [&](const std::string& condition) {
        terminal.type("cd /golem/output/src; until " + condition + "; do sleep 0.02; done\n");
        EXPECT_THAT(terminal.until("sh> "), HasSubstr("[exit 0, ")) << condition;
    };
    write("file", "second\n");
    wait("grep -q second file");
    write("deep/er/new", "new\n");
    wait("grep -q new link/new");
    fs::rename(source / "deep", source / "moved");
    wait("grep -q new moved/er/new && ! [ -e deep ]");
    fs::remove(source / "file");
    wait("! [ -e file ]");
    fs::permissions(source / "moved/er/new", fs::perms(0700));
    wait("[ -x moved/er/new ]");
    write(".swap", "saved by rename\n");
    fs::rename(source / ".swap", source / "moved/er/new");
    wait("grep -q rename moved/er/new");
    // It goes one way.
    terminal.type("echo guest > /golem/output/src/guests; rm -r /golem/output/src/moved\n");
    terminal.until("sh> ");
    write("file", "again\n");
    wait("grep -q again file && [ -e guests ]");
    EXPECT_FALSE(fs::exists(source / "guests"));
    EXPECT_TRUE(fs::exists(source / "moved/er/new"));
    terminal.type("\x04");
    EXPECT_EQ(terminal.exit_code(), 0);
}

TEST_F(DbgSyncTest, RunsAgainAfterAChange) {
    AtTerminal terminal(sync({"--run", "cat /golem/output/src/file; exit 3"}));
    terminal.until("first\r\n[exit 3, ");
    write("file", "second\n");
    terminal.until("second\r\n[exit 3, ");
    terminal.type("\x03");
    EXPECT_EQ(terminal.exit_code(), 128 + SIGINT);
    EXPECT_TRUE(fs::is_empty(workdir / "tmp"));
}

TEST_F(DbgSyncTest, WhatStillRunsIsEndedFirst) {
    AtTerminal terminal(
        sync({"--run", "echo begin; cat /golem/output/src/file; trap 'echo ended; exit' TERM; while :; do sleep 0.1; done"}));
    terminal.until("begin\r\nfirst");
    write("file", "second\n");
    EXPECT_THAT(terminal.until("second"), HasSubstr("ended\r\nbegin"));
    write("file", "third\n");
    terminal.until("third");
    terminal.type("\x03");
    EXPECT_EQ(terminal.exit_code(), 128 + SIGINT);
}

TEST_F(DbgSyncTest, MistakesAreExplained) {
    const Output nowhere = run_program(sync({"--exec", "true"}, "/elsewhere"));
    EXPECT_EQ(nowhere.code, 1);
    EXPECT_THAT(nowhere.err, HasSubstr("\"/elsewhere\" is in no volume: there are \"/data\", \"/golem/output\""));
    EXPECT_THAT(run_program(dbg({"--sync", "src", "--exec", "true"})).err, HasSubstr("not DIR:GUEST"));
    EXPECT_THAT(run_program(dbg({"--sync", "none:/data", "--exec", "true"})).err, HasSubstr("none"));
    EXPECT_THAT(run_program(sync({"--workdir", (source / "vm").string(), "--exec", "true"})).err, HasSubstr("choose another --workdir"));
    EXPECT_THAT(run_program(dbg({"--run", "true"})).err, HasSubstr("--run needs --sync"));
}

}  // namespace
}  // namespace system_test
