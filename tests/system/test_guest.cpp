// The real kernel and initramfs under QEMU, driven by the agent's client: processes and their output.
#include <csignal>
#include <numeric>

#include "guest_fixture.h"

namespace guest_test {
namespace {

TEST_F(Guest, RunsAProgramAndDeliversItsOutputAndExitCode) {
    const auto vm = start();
    const auto process = vm->sh("echo out; echo err >&2; exit 42");
    EXPECT_EQ(process->out, "out\n");
    EXPECT_EQ(process->err, "err\n");
    EXPECT_EQ(process->exited->code(), 42);
    EXPECT_EQ(vm->run({"true"})->exited->code(), 0);
    EXPECT_EQ(vm->sh("kill -SEGV $$")->exited->code(), 139);
    const auto killed = vm->sh("kill -KILL $$");
    EXPECT_EQ(killed->exited->code(), 137);
    EXPECT_FALSE(killed->exited->out_of_memory());
}

TEST_F(Guest, GivesArgumentsAsTheyAre) {
    const auto vm = start();
    agent::Exec exec = GuestVm::exec({"/bin/sh", "-c", R"(printf "%s|" "$0" "$@")", "zero", "", "two words", "\xff\xfe"});
    EXPECT_EQ(vm->run(exec)->out, "zero||two words|\xff\xfe|");
    exec = GuestVm::exec({"/bin/busybox", "x"});
    exec.set_args(0, "echo");
    EXPECT_EQ(vm->run(exec)->out, "x\n") << "argv[0] is not the path";
}

TEST_F(Guest, RefusesWhatCannotBeRunAndSaysWhy) {
    const auto vm = start();
    const auto refusal = [&](const char* bin, const char* work_dir = "") {
        agent::Exec exec = GuestVm::exec({bin});
        exec.set_work_dir(work_dir);
        const agent::GuestError error = vm->refused(exec);
        return std::pair(error.code(), std::string(error.what()));
    };
    using agent::Error;
    EXPECT_EQ(refusal("/bin/nothing"), std::pair(Error::NOT_FOUND, std::string("cannot run /bin/nothing: No such file or directory")));
    EXPECT_EQ(refusal("nothing"), std::pair(Error::NOT_FOUND, std::string("cannot run nothing: no such program in PATH")));
    EXPECT_EQ(refusal("/bin/lost"),
              std::pair(Error::NOT_FOUND, std::string("cannot run /bin/lost: the interpreter that it names is missing")));
    EXPECT_EQ(refusal("/bin/plain-file"), std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/plain-file: Permission denied")));
    EXPECT_EQ(refusal("plain-file"), std::pair(Error::BAD_REQUEST, std::string("cannot run plain-file: Permission denied")));
    EXPECT_EQ(refusal("/bin/garbage"), std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/garbage: Exec format error")));
    EXPECT_EQ(refusal("/bin"), std::pair(Error::BAD_REQUEST, std::string("cannot run /bin: Permission denied")));
    EXPECT_EQ(refusal("/bin/true", "/etc/passwd"),
              std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/true: the working directory /etc/passwd: Not a directory")));
    EXPECT_EQ(refusal("/bin/true", "/etc/passwd/x"),
              std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/true: the working directory /etc/passwd/x: Not a directory")));
    agent::Exec zero = GuestVm::exec({"/bin/echo", std::string("a\0b", 3)});
    EXPECT_THAT(vm->refused(zero).what(), HasSubstr("zero byte"));
    // Nothing follows an error, and the agent goes on: the client would have closed the channel otherwise.
    EXPECT_EQ(vm->sh("echo well")->out, "well\n");
    EXPECT_FALSE(vm->closed());
}

TEST_F(Guest, RefusesRequestsBeforeSetup) {
    GuestVm vm(options());
    EXPECT_THAT(vm.refused(GuestVm::exec({"/bin/true"})).what(), HasSubstr("has not been set up"));
}

TEST_F(Guest, GivesTheImagesEnvironment) {
    agent::Setup setup = GuestVm::setup();
    for (const char* entry : {"COLOUR=deep red", "EMPTY=", "TWICE=1", "TWICE=2"})
        setup.add_env(entry);
    setup.set_user("guest");
    const auto vm = start(setup);
    EXPECT_EQ(vm->run({"env"})->out,
              "COLOUR=deep red\nEMPTY=\nTWICE=2\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/home/guest\n"
              "HOSTNAME=golem\n");
}

TEST_F(Guest, LooksUpProgramsInTheImagesPath) {
    agent::Setup setup = GuestVm::setup();
    setup.add_env("PATH=/nowhere:/etc/passwd:/locked:/opt");
    const auto vm = start(setup);
    EXPECT_EQ(vm->refused(GuestVm::exec({"echo"})).code(), agent::Error::NOT_FOUND);
    ASSERT_EQ(vm->run({"/bin/sh", "-c", "/bin/mkdir /opt && /bin/ln -s /bin/busybox /opt/echo"})->exited->code(), 0);
    EXPECT_EQ(vm->run({"echo", "found"})->out, "found\n");
}

TEST_F(Guest, RunsAsTheImagesUser) {
    agent::Setup setup = GuestVm::setup();
    setup.set_user("guest");
    setup.set_working_dir("/home/guest/made/by/us");
    const auto vm = start(setup);
    EXPECT_EQ(vm->run({"id"})->out, "uid=1000(guest) gid=1000(guest) groups=44(video),1000(guest)\n");
    const auto status = vm->run({"grep", "-E", "^(Uid|Gid|Cap(Prm|Eff|Inh|Amb))", "/proc/self/status"});
    EXPECT_EQ(status->out,
              "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
              "CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n");
    EXPECT_EQ(vm->run({"/bin/sh", "-c", "pwd; stat -c '%a %u' ."})->out, "/home/guest/made/by/us\n755 0\n");
    EXPECT_NE(vm->run({"cat", "/proc/1/environ"})->exited->code(), 0) << "init's memory is not for everybody";
}

TEST_F(Guest, UnknownUserFailsTheSetupAndIsNamed) {
    GuestVm vm(options());
    agent::Setup setup = GuestVm::setup();
    setup.set_user("nobody-knows");
    try {
        vm.set_up(setup);
        FAIL();
    } catch (const agent::GuestError& error) {
        EXPECT_THAT(error.what(), HasSubstr("its /etc/passwd has no user \"nobody-knows\""));
    }
}

TEST_F(Guest, StartsProcessesInTheStateThatProgramsExpect) {
    const auto vm = start();
    const auto status = vm->run({"cat", "/proc/self/status"});
    EXPECT_THAT(status->out, HasSubstr("SigBlk:\t0000000000000000\n"));
    EXPECT_THAT(status->out, HasSubstr("SigIgn:\t0000000000000000\n"));
    EXPECT_THAT(status->out, HasSubstr("SigCgt:\t0000000000000000\n"));
    EXPECT_THAT(status->out, HasSubstr("Umask:\t0022\n"));
    const size_t bounding = status->out.find("CapBnd:\t");
    ASSERT_NE(bounding, std::string::npos);
    const uint64_t capabilities = std::stoull(status->out.substr(bounding + 8, 16), nullptr, 16);
    EXPECT_EQ(capabilities & (1ULL << 22), 0U) << "CAP_SYS_BOOT";
    EXPECT_NE(capabilities & (1ULL << 21), 0U) << "CAP_SYS_ADMIN";
    EXPECT_EQ(vm->run({"cat", "/proc/self/oom_score_adj"})->out, "0\n");
    EXPECT_EQ(vm->run({"awk", "{ print $18, $19 }", "/proc/self/stat"})->out, "20 0\n") << "priority and nice";
    // The fourth is the directory that ls reads.
    const auto descriptors = vm->run({"ls", "/proc/self/fd"});
    EXPECT_EQ(descriptors->out, "0\n1\n2\n3\n");
    const auto links = vm->run({"ls", "-l", "/proc/self/fd"});
    EXPECT_THAT(links->out, HasSubstr("0 -> /dev/null\n"));
    EXPECT_THAT(links->out, HasSubstr("1 -> pipe:["));
    EXPECT_THAT(links->out, HasSubstr("2 -> pipe:["));
    // pid, process group and session are the same: fields 1, 5 and 6.
    EXPECT_EQ(vm->run({"awk", "{ print ($1 == $5 && $1 == $6) }", "/proc/self/stat"})->out, "1\n");
}

TEST_F(Guest, KillsTheWholeGroupAndKnowsItsProcesses) {
    const auto vm = start();
    const auto process = vm->begin({"/bin/sh", "-c", "sleep 1000 & echo started; wait"});
    vm->until([&] { return process->out == "started\n"; });
    vm->kill(process->number, SIGTERM);
    vm->finish(process);
    EXPECT_EQ(process->exited->code(), 128 + SIGTERM);
    EXPECT_EQ(vm->sh("ps | grep -c '[s]leep 1000'")->out, "0\n");
    const auto code_of = [&](uint64_t number, int signal) {
        try {
            vm->kill(number, signal);
        } catch (const agent::GuestError& error) {
            return static_cast<int>(error.code());
        }
        return -1;
    };
    EXPECT_EQ(code_of(process->number, SIGKILL), agent::Error::NOT_FOUND);
    EXPECT_EQ(code_of(4711, SIGKILL), agent::Error::NOT_FOUND);
    const auto other = vm->begin({"sleep", "1000"});
    EXPECT_EQ(code_of(other->number, 1000), agent::Error::BAD_REQUEST);
    vm->kill(other->number, SIGKILL);
    vm->finish(other);
    EXPECT_EQ(other->exited->code(), 137);
    EXPECT_FALSE(other->exited->out_of_memory());
}

TEST_F(Guest, ReapsOrphans) {
    const auto vm = start();
    ASSERT_EQ(vm->sh("for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.1 &) ; done")->exited->code(), 0);
    // They end in their own time; a zombie would stay.
    EXPECT_EQ(vm->sh("while ps | grep -q '[s]leep 0.1'; do sleep 0.05; done; ps -o stat | grep -c Z")->out, "0\n");
}

TEST_F(Guest, RunsManyProcessesAtOnce) {
    const auto vm = start();
    constexpr size_t kCount = 300;
    std::vector<std::shared_ptr<Process>> processes;
    for (size_t i = 0; i < kCount; i++)
        processes.push_back(vm->begin({"/bin/sh", "-c", "echo " + std::to_string(i) + "; exec sleep 1000"}));
    EXPECT_EQ(vm->sh("echo one more")->out, "one more\n");
    for (size_t i = 0; i < kCount; i++)
        vm->kill(processes[i]->number, SIGKILL);
    for (size_t i = 0; i < kCount; i++) {
        vm->finish(processes[i]);
        EXPECT_TRUE(processes[i]->out.empty() || processes[i]->out == std::to_string(i) + "\n") << processes[i]->out;
    }
}

TEST_F(Guest, DeliversLargeOutputOnBothStreamsWhole) {
    const auto vm = start();
    const char* script = "yes out | head -c 20000000 & yes error | head -c 10000001 >&2 & wait";
    const auto process = vm->sh(script);
    ASSERT_EQ(process->out.size(), 20000000U);
    ASSERT_EQ(process->err.size(), 10000001U);
    for (size_t i = 0; i < process->out.size(); i++)
        ASSERT_EQ(process->out[i], "out\n"[i % 4]) << i;
    for (size_t i = 0; i < process->err.size(); i++)
        ASSERT_EQ(process->err[i], "error\n"[i % 6]) << i;
}

TEST_F(Guest, SendsNoMoreThanItsCreditAndTheExitAfterAllOutput) {
    const auto vm = start();
    agent::Exec exec = GuestVm::exec({"/bin/sh", "-c", "head -c 100000 /dev/zero; echo e >&2; exit 3"});
    exec.set_credit(1000);
    const auto process = vm->begin(exec, false);
    vm->until([&] { return process->out.size() == 1000 && process->err == "e\n"; });
    // Other requests are served meanwhile, and show that time has passed.
    EXPECT_EQ(vm->sh("sleep 0.5; echo other")->out, "other\n");
    EXPECT_EQ(process->out.size(), 1000U);
    EXPECT_FALSE(process->exited) << "99000 bytes are still to come";
    vm->client().grant(process->number, agent::STDOUT, 98999);
    vm->until([&] { return process->out.size() == 99999; });
    EXPECT_EQ(vm->sh("echo other")->out, "other\n");
    EXPECT_FALSE(process->exited);
    vm->client().grant(process->number, agent::STDOUT, 1);
    vm->finish(process);
    EXPECT_EQ(process->out.size(), 100000U);
    EXPECT_EQ(process->exited->code(), 3);
}

TEST_F(Guest, DoesNotWaitForABackgroundChildThatHoldsThePipes) {
    const auto vm = start();
    const auto process = vm->sh("sleep 1000 & echo done");
    EXPECT_EQ(process->out, "done\n");
    // What such a child writes later is dropped: it neither blocks nor gets SIGPIPE.
    const auto parent = vm->sh("(sleep 0.3; head -c 3000000 /dev/zero; echo $? > /run/written; echo late >&2) & echo early");
    EXPECT_EQ(parent->out, "early\n");
    EXPECT_EQ(vm->sh("while ! test -s /run/written; do sleep 0.05; done; cat /run/written")->out, "0\n");
    EXPECT_EQ(parent->out, "early\n");
}

TEST_F(Guest, AFloodDoesNotDelayOthers) {
    const auto vm = start();
    std::vector<std::shared_ptr<Process>> floods;
    for (int i = 0; i < 4; i++) {
        floods.push_back(vm->begin({"yes", "flood"}));
        floods.back()->keep = false;
    }
    const auto flooded = [&floods] {
        return std::accumulate(floods.begin(), floods.end(), size_t{0},
                               [](size_t sum, const auto& flood) { return sum + flood->out_bytes; });
    };
    for (int i = 0; i < 20; i++) {
        const size_t before = flooded();
        EXPECT_EQ(vm->run({"echo", "here"})->out, "here\n");
        EXPECT_LT(flooded() - before, 256U << 20) << "what the others print while it runs; a busy machine delays both";
    }
    // One that is given no more credit stands still; the others go on.
    floods[0]->grant = false;
    const size_t before = floods[1]->out_bytes;
    vm->until([&] { return floods[1]->out_bytes > before + (10 << 20); });
    for (const auto& flood : floods)
        vm->kill(flood->number, SIGKILL);
    floods[0]->grant = true;
    vm->client().grant(floods[0]->number, agent::STDOUT, 16 << 20);
    for (const auto& flood : floods)
        vm->finish(flood);
}

}  // namespace
}  // namespace guest_test
