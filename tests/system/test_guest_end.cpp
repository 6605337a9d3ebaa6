// How a VM ends, and what processes in it may try.
#include <csignal>
#include <sstream>

#include "base/error.h"
#include "guest_fixture.h"

namespace guest_test {
namespace {

std::string file_text(const fs::path& path) {
    return base::read_file(path, 1 << 20);
}

// The CPU time of a process so far, in seconds.
double cpu_seconds(pid_t pid) {
    std::istringstream stat(file_text("/proc/" + std::to_string(pid) + "/stat"));
    std::string skipped;
    for (int field = 1; field < 14; field++)
        stat >> skipped;
    double user = 0;
    double system = 0;
    stat >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

TEST_F(Guest, ShutsDownInTimeAndLeavesCleanFileSystems) {
    VmOptions vm_options = options();
    const fs::path disk = make_disk("clean", "16M");
    vm_options.disks.push_back({disk, "storage-0", false});
    agent::Setup setup = GuestVm::setup();
    agent::Volume* volume = setup.add_volumes();
    volume->set_path("/plain");
    volume->set_disk("storage-0");
    auto vm = start(setup, std::move(vm_options));
    const auto polite =
        vm->begin({"/bin/sh", "-c", "trap 'echo bye; echo bye > /plain/bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done"});
    const auto stubborn = vm->begin({"/bin/sh", "-c", "cd /plain; trap '' TERM; echo ready; while :; do sleep 0.1; done"});
    vm->until([&] { return polite->out == "ready\n" && stubborn->out == "ready\n"; });
    agent::Request request;
    request.mutable_shutdown()->set_grace_ms(700);
    vm->request(request);
    vm->until([&] { return polite->exited && stubborn->exited; });
    EXPECT_EQ(polite->out, "ready\nbye\n");
    EXPECT_EQ(polite->exited->code(), 7);
    EXPECT_EQ(stubborn->exited->code(), 137);
    EXPECT_THAT(vm->refused(GuestVm::exec({"/bin/true"})).what(), HasSubstr("shutting down"));
    vm.reset();
    const base::Finished check = base::run({"e2fsck", "-fn", disk});
    EXPECT_EQ(check.code, 0) << check.output;
    EXPECT_THAT(base::run({"dumpe2fs", "-h", disk}).output, HasSubstr("Filesystem state:         clean"));
    EXPECT_THAT(base::run({"debugfs", "-R", "cat bye", disk}).output, EndsWith("\nbye\n")) << "written in the grace time";
}

TEST_F(Guest, TellsThatTheKernelKilledForWantOfMemory) {
    const auto vm = start();
    // One that doubles what it has, and one that takes a little more each time and so comes close to the limit first.
    for (const std::vector<std::string>& argv :
         std::vector<std::vector<std::string>>{{"awk", "BEGIN { x = \"0123456789abcdef\"; while (1) x = x x }"}, {"tail", "/dev/zero"}}) {
        const auto process = vm->begin(argv);
        vm->finish(process);
        EXPECT_EQ(process->exited->code(), 137);
        EXPECT_TRUE(process->exited->out_of_memory());
    }
    vm->until([&] { return vm->log().find("Killed process") != std::string::npos; });
    // A line that a program wrote is not the kernel's.
    const auto liar = vm->sh("echo \"<3>Out of memory: Killed process $$ (sh)\" > /dev/kmsg; kill -KILL $$");
    EXPECT_EQ(liar->exited->code(), 137);
    EXPECT_FALSE(liar->exited->out_of_memory());
}

TEST_F(Guest, SurvivesWhatRootCanDo) {
    const auto vm = start();
    EXPECT_NE(vm->sh("reboot -f")->exited->code(), 0);
    EXPECT_EQ(vm->sh("kill -KILL 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; echo still")->out, "still\n");
    EXPECT_THAT(vm->sh("cat /dev/vport*")->err, HasSubstr("busy"));
    EXPECT_EQ(vm->sh("exec /bin/true < /proc/1/fd/0")->exited->code(), 0);
    EXPECT_EQ(vm->sh("sleep 1000 & kill -KILL -1; wait $!; echo $?")->out, "137\n");
    EXPECT_EQ(vm->sh("umount -l /proc; umount -l /sys; umount -l /dev; echo gone")->out, "gone\n");
    const auto process = vm->sh("echo after; kill -KILL $$");
    EXPECT_EQ(process->out, "after\n");
    EXPECT_EQ(process->exited->code(), 137);
}

TEST_F(Guest, AProcessThatReadsItsOwnPipeDoesNotHoldUpItsExit) {
    const auto vm = start();
    agent::Exec exec = GuestVm::exec(
        {"/bin/sh", "-c",
         "head -c 60000 /dev/zero; (sleep 0.5; head -c 59000 < /proc/self/fd/1 > /dev/null; touch /run/taken; sleep 1) & exit 5"});
    exec.set_credit(1000);
    const auto process = vm->begin(exec, false);
    // When credit comes, the bytes that were there at the exit have been taken by the thief.
    EXPECT_EQ(vm->sh("until test -e /run/taken; do sleep 0.05; done")->exited->code(), 0);
    vm->client().grant(process->number, agent::STDOUT, 1 << 20);
    vm->finish(process);
    EXPECT_EQ(process->out.size(), 1000U);
    EXPECT_EQ(process->exited->code(), 5);
}

TEST_F(Guest, SurvivesAForkBomb) {
    const auto vm = start();
    const auto bomb = vm->begin({"/bin/sh", "-c", "ulimit -u 2>/dev/null; f() { f | f & }; f; sleep 1000"});
    vm->serve(2s);
    vm->kill(bomb->number, SIGKILL);
    // Whatever is left of it is taken away by the shutdown.
    agent::Request request;
    request.mutable_shutdown()->set_grace_ms(100);
    vm->request(request);  // fails where no answer comes in time
}

TEST_F(Guest, UsesNoCpuWhileIdleAndWhileTheHostsEndIsClosed) {
    const auto vm = start();
    const auto flood = vm->begin(GuestVm::exec({"yes", "flood"}), false);  // it stands still for want of credit
    vm->serve(1s);
    const auto used = [&](std::chrono::seconds time) {
        const double before = cpu_seconds(vm->qemu_pid());
        vm->serve(time);
        return cpu_seconds(vm->qemu_pid()) - before;
    };
    EXPECT_LT(used(4s), 0.4) << "idle, with a process that waits for credit";
    vm->client().grant(flood->number, agent::STDOUT, 64 << 20);
    vm->client().close();
    vm->serve(2s);
    EXPECT_LT(used(4s), 0.4) << "the host's end closed, with output to send";
}

}  // namespace
}  // namespace guest_test
