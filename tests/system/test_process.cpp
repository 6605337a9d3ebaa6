// What a command is given and how its end is told (exe-unit.md, rules 1 to 7; guest.md, "A process").
#include <gmock/gmock.h>

#include <csignal>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

class ProcessTest : public SystemTest {
protected:
    void boot(const std::string& image_name = "plain") {
        task_package = image(image_name);
        deploy();
        vm = start();
    }

    // The standard output of a script that must succeed.
    std::string says(const std::string& script) {
        const Process process = vm->sh(script);
        EXPECT_EQ(process.code, 0) << script << ": " << process.err;
        return process.out;
    }

    // The error that a Run is answered with.
    std::string refusal(const std::vector<std::string>& argv, api::Error::Code code, const RunOptions& options = {}) {
        try {
            (void)vm->begin(argv, options);
        } catch (const exeunit::RequestError& e) {
            EXPECT_EQ(e.code(), code) << e.what();
            return e.what();
        }
        ADD_FAILURE() << argv[0] << " was started";
        return {};
    }

    void TearDown() override {
        vm.reset();
        SystemTest::TearDown();
    }

    std::unique_ptr<Runtime> vm;
};

TEST_F(ProcessTest, FirstArgumentIsTheProgramsName) {
    boot();
    EXPECT_EQ(vm->run({"echo", "one", "two words", ""}, {.bin = "/bin/busybox"}).out, "one two words \n");
    EXPECT_EQ(vm->run({"sh", "-c", "head -c 2 /proc/$$/cmdline; echo $0"}, {.bin = "/bin/busybox"}).out, "shsh\n");
    // Arguments are bytes, of any length that execve takes.
    const std::string bytes = "\xff\x01 \n\xc3";
    EXPECT_EQ(vm->run({"/bin/printf", "%s", bytes}).out, bytes);
    EXPECT_EQ(vm->run({"/bin/printf", "%s", std::string(100000, 'x')}).out, std::string(100000, 'x'));
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, ExitCodesAndSignals) {
    boot();
    for (const int code : {0, 1, 2, 127, 255})
        EXPECT_EQ(vm->sh("exit " + std::to_string(code)).code, code);
    EXPECT_EQ(vm->sh("kill -SEGV $$").code, 128 + SIGSEGV);
    EXPECT_EQ(vm->sh("kill -KILL $$").code, 128 + SIGKILL);
    EXPECT_EQ(vm->sh("kill -TERM $$").code, 128 + SIGTERM);
    // Of a shell whose child dies so: the shell's own answer.
    EXPECT_EQ(vm->sh("sh -c 'kill -SEGV $$'; echo $?").out, "139\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, PidsStartAtOneAndAreNeverUsedTwice) {
    boot();
    uint64_t last = 0;
    for (int i = 0; i < 5; i++) {
        const uint64_t pid = vm->run({"true"}).pid;
        EXPECT_GT(pid, last);
        last = pid;
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, FailedRunNamesPathAndReasonAndSaysNothingMore) {
    boot();
    EXPECT_THAT(refusal({"/no/such/program"}, api::Error::NOT_FOUND), HasSubstr("/no/such/program: No such file or directory"));
    EXPECT_THAT(refusal({"no-such-name"}, api::Error::NOT_FOUND), HasSubstr("no-such-name"));
    EXPECT_THAT(refusal({"/bin/not-executable"}, api::Error::BAD_REQUEST), HasSubstr("/bin/not-executable: Permission denied"));
    EXPECT_THAT(refusal({"/bin/not-a-program"}, api::Error::BAD_REQUEST), HasSubstr("/bin/not-a-program: Exec format error"));
    EXPECT_THAT(refusal({"/etc"}, api::Error::BAD_REQUEST), HasSubstr("/etc: "));
    EXPECT_THAT(refusal({"/bin/true"}, api::Error::BAD_REQUEST, {.work_dir = "/etc/passwd"}), HasSubstr("/etc/passwd: Not a directory"));
    EXPECT_EQ(vm->run({"echo", "alive"}).out, "alive\n");
    vm->serve(200ms);
    EXPECT_TRUE(vm->stray().empty());
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, BackgroundChildThatHoldsThePipeDoesNotHoldTheCommand) {
    boot();
    const Process process = vm->run({"/bin/sh", "-c", "echo before; sleep 1000 & echo after"}, {}, 30s);
    EXPECT_EQ(process.code, 0);
    EXPECT_EQ(process.out, "before\nafter\n");
    // What a child writes later is read and dropped: it neither blocks nor dies, and none of it arrives anywhere.
    EXPECT_EQ(vm->sh("(head -c 1000000 /dev/zero; echo $? > /tmp/ended) & exit 3").code, 3);
    EXPECT_EQ(says("while [ ! -s /tmp/ended ]; do sleep 0.1; done; cat /tmp/ended"), "0\n");
    EXPECT_TRUE(vm->stray().empty());
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, LongRunBlocksNothing) {
    boot();
    const auto sleeper = vm->begin({"sleep", "1000"});
    const auto second = vm->begin({"/bin/sh", "-c", "echo ready; sleep 1000"});
    EXPECT_EQ(vm->run({"echo", "hello"}, {}, 30s).out, "hello\n");
    vm->until([&] { return second->out == "ready\n"; });
    vm->kill(sleeper->pid);  // no signal is SIGKILL
    vm->finish(sleeper, 30s);
    EXPECT_EQ(sleeper->code, 128 + SIGKILL);
    vm->kill(second->pid, SIGTERM);
    vm->finish(second, 30s);
    EXPECT_EQ(second->code, 128 + SIGTERM);
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, KillReachesTheWholeGroup) {
    boot();
    const auto process = vm->begin({"/bin/sh", "-c", "sleep 1111 & sleep 1111 & echo ready; wait"});
    vm->until([&] { return process->out == "ready\n"; });
    EXPECT_EQ(says("pidof sleep | wc -w"), "2\n");
    vm->kill(process->pid, SIGTERM);
    vm->finish(process, 30s);
    EXPECT_EQ(process->code, 128 + SIGTERM);
    EXPECT_EQ(says("while pidof sleep > /dev/null; do :; done; echo none"), "none\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, KillOfAnUnknownOrEndedPidIsNotFound) {
    boot();
    const uint64_t ended = vm->run({"true"}).pid;
    for (const uint64_t pid : {uint64_t{0}, ended, ended + 1, UINT64_MAX}) {
        try {
            vm->kill(pid, SIGTERM);
            ADD_FAILURE() << "killed " << pid;
        } catch (const exeunit::RequestError& e) {
            EXPECT_EQ(e.code(), api::Error::NOT_FOUND) << e.what();
            EXPECT_THAT(e.what(), HasSubstr(std::to_string(pid)));
        }
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, ManyAtOnce) {
    boot();
    std::vector<std::shared_ptr<Process>> processes;
    processes.reserve(64);
    for (int i = 0; i < 64; i++) {
        processes.push_back(vm->begin({"/bin/sh", "-c", "until [ -e /tmp/go ]; do sleep 0.2; done; echo $0; exit $0", std::to_string(i)}));
    }
    says("touch /tmp/go");
    for (int i = 0; i < 64; i++) {
        vm->finish(processes[i]);
        EXPECT_EQ(processes[i]->code, i);
        EXPECT_EQ(processes[i]->out, std::to_string(i).append("\n"));
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, EnvironmentOfAnImageWithoutAny) {
    boot();
    EXPECT_EQ(says("env | grep -v '^\\(SHLVL\\|PWD\\|_\\)=' | sort"),
              "HOME=/root\nHOSTNAME=golem\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    EXPECT_EQ(says("pwd; id -u; id -g; umask; hostname"), "/\n0\n0\n0022\ngolem\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, StandardInputSessionAndDescriptors) {
    boot();
    EXPECT_EQ(says("readlink /proc/self/fd/0"), "/dev/null\n");
    EXPECT_EQ(says("cat; echo end"), "end\n");
    EXPECT_EQ(vm->run({"/bin/ls", "/proc/self/fd"}).out, "0\n1\n2\n3\n");  // 3 is ls reading the folder
    EXPECT_EQ(says("set -- $(cat /proc/$$/stat); [ $1 = $5 ] && [ $1 = $6 ] && echo leader"), "leader\n");
    EXPECT_EQ(vm->run({"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}).out,
              "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, ConfigurationOfTheImage) {
    boot("configured");
    EXPECT_EQ(says("echo \"$COLOUR|$EMPTY|$PATH|$HOME|$HOSTNAME\"; pwd"),
              "deep red||/opt/bin:/bin|/home/guest|golem\n/home/guest/made/by/us\n");
    EXPECT_EQ(vm->run({"answer"}).out, "42\n");  // found in the image's PATH
    EXPECT_EQ(says("id -u; id -g; id -G"), "1000\n1000\n1000 50 100\n");
    EXPECT_EQ(says("touch $HOME/mine && stat -c %u $HOME/mine"), "1000\n");
    EXPECT_EQ(says("stat -c %u ."), "0\n");                                        // made by the VM, as Docker makes it
    EXPECT_EQ(vm->run({"/bin/pwd"}, {.work_dir = "/tmp/a/b"}).out, "/tmp/a/b\n");  // made
    EXPECT_EQ(vm->shutdown(), 0);
}

// A group that is given takes the place of those that /etc/group adds, as in Docker.
TEST_F(ProcessTest, UsersInAllForms) {
    const std::vector<std::pair<std::string, std::string>> forms{
        {"user-uid", "1000 1000 1000 50 100 /home/guest\n"},
        {"user-uid-gid", "1000 50 50 /home/guest\n"},
        {"user-name-group", "1000 50 50 /home/guest\n"},
        {"user-unknown-uid", "4242 0 0 /\n"},
    };
    for (const auto& [name, expected] : forms) {
        boot(name);
        EXPECT_EQ(says("echo $(id -u) $(id -g) $(id -G) $HOME"), expected) << name;
        EXPECT_EQ(vm->shutdown(), 0);
    }
}

TEST_F(ProcessTest, UserThatTheImageDoesNotKnowIsAnError) {
    task_package = image("user-unknown-name");
    deploy();
    vm = launch();
    try {
        vm->hello();
        ADD_FAILURE() << "started";
    } catch (const exeunit::RequestError& e) {
        EXPECT_THAT(e.what(), HasSubstr("nobody-knows"));
    }
}

TEST_F(ProcessTest, OutputAtTheEnd) {
    boot();
    std::vector<api::ProcessStatus> statuses;
    RunOptions options{.stdout_at_end = 10, .status = [&](const api::ProcessStatus& s) { statuses.push_back(s); }};
    vm->run({"/bin/sh", "-c", "echo abcdefghijklmnop; echo warning >&2; exit 4"}, options);
    ASSERT_FALSE(statuses.empty());
    std::string streamed;
    for (size_t i = 0; i + 1 < statuses.size(); i++) {
        EXPECT_TRUE(statuses[i].running());
        EXPECT_EQ(statuses[i].stdout(), "");
    }
    for (const auto& status : statuses)
        streamed += status.stderr();
    EXPECT_FALSE(statuses.back().running());
    EXPECT_EQ(statuses.back().return_code(), 4);
    EXPECT_EQ(statuses.back().stdout(), "hijklmnop\n");
    EXPECT_EQ(streamed, "warning\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
