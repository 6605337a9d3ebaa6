// Processes with a terminal.
#include <algorithm>
#include <csignal>

#include "guest_fixture.h"

namespace guest_test {
namespace {

agent::Exec on_terminal(const std::vector<std::string>& argv, uint32_t rows = 24, uint32_t columns = 80) {
    agent::Exec exec = GuestVm::exec(argv);
    exec.mutable_terminal()->set_rows(rows);
    exec.mutable_terminal()->set_columns(columns);
    return exec;
}

TEST_F(Guest, TerminalHasItsSizeAndOwner) {
    const auto vm = start();
    agent::Exec exec =
        on_terminal({"/bin/sh", "-c", "busybox stty size; stat -Lc '%u %g %a' /proc/self/fd/0; test -t 2 && echo yes"}, 33, 111);
    exec.set_user("guest");
    EXPECT_EQ(vm->run(exec)->out, "33 111\r\n1000 5 620\r\nyes\r\n");
    EXPECT_THAT(vm->refused(on_terminal({"true"}, 0, 80)).what(), HasSubstr("1 to 65535"));
}

TEST_F(Guest, TerminalFollowsItsSize) {
    const auto vm = start();
    const auto shell =
        vm->begin(on_terminal({"/bin/sh", "-c", "trap 'busybox stty size; exit' WINCH; echo up; while :; do sleep 0.1; done"}));
    vm->until([&] { return shell->out == "up\r\n"; });
    agent::Terminal terminal;
    terminal.set_rows(50);
    terminal.set_columns(132);
    vm->client().resize(shell->number, terminal);
    vm->finish(shell);
    EXPECT_EQ(shell->out, "up\r\n50 132\r\n");
}

TEST_F(Guest, TerminalPassesControlCharacters) {
    const auto vm = start();
    const auto sleep = vm->begin(on_terminal({"/bin/sh", "-c", "echo up; exec sleep 1000"}));
    vm->until([&] { return sleep->out == "up\r\n"; });
    vm->type(sleep, "\x03");
    vm->finish(sleep);
    EXPECT_EQ(sleep->exited->code(), 128 + SIGINT);
    const auto cat = vm->begin(on_terminal({"cat"}));
    vm->type(cat, "line\n", true);
    vm->finish(cat);
    EXPECT_EQ(cat->exited->code(), 0);
    EXPECT_EQ(cat->out, "line\r\nline\r\n");
    EXPECT_EQ(vm->sh("echo well")->out, "well\n");
}

TEST_F(Guest, TerminalEndsWithItsProgramWhoeverElseHoldsIt) {
    const auto vm = start();
    const auto process = vm->run(on_terminal({"/bin/sh", "-c", "trap '' HUP; (exec yes) & echo $!; exit 3"}));
    EXPECT_EQ(process->exited->code(), 3);
    // The terminal is gone, so it fails to print.
    EXPECT_EQ(vm->sh("while ps | grep -q '[y]es$'; do sleep 0.1; done; echo gone")->out, "gone\n");
}

TEST_F(Guest, TerminalGivesItsOutputToTheLastByte) {
    const auto vm = start();
    for (int round = 0; round < 10; round++) {
        constexpr int kAtOnce = 4;
        std::vector<std::shared_ptr<Process>> processes;
        processes.reserve(kAtOnce);
        for (int i = 0; i < kAtOnce; i++)
            processes.push_back(vm->begin(on_terminal({"/bin/sh", "-c", "yes | head -n 5000; echo end"})));
        for (const auto& process : processes) {
            vm->finish(process);
            EXPECT_EQ(process->out.size(), 5'000U * 3 + 5);
            EXPECT_TRUE(process->out.ends_with("y\r\nend\r\n"));
        }
    }
}

TEST_F(Guest, TerminalNeedsItsOwnFileSystem) {
    const auto vm = start();
    ASSERT_EQ(vm->sh("mount -t tmpfs none /dev/pts && touch /dev/pts/ptmx")->exited->code(), 0);
    EXPECT_THAT(vm->refused(on_terminal({"true"})).what(), HasSubstr("No such device"));
    ASSERT_EQ(vm->sh("umount /dev/pts")->exited->code(), 0);
    EXPECT_EQ(vm->run(on_terminal({"echo", "well"}))->out, "well\r\n");
}

TEST_F(Guest, TerminalsDoNotDelayEachOther) {
    const auto vm = start();
    const auto flood = vm->begin(on_terminal({"yes"}));
    flood->keep = false;
    vm->until([&] { return flood->out_bytes > 100'000U; });
    constexpr int kCats = 19;
    std::vector<std::shared_ptr<Process>> cats;
    cats.reserve(kCats);
    for (int i = 0; i < kCats; i++)
        cats.push_back(vm->begin(on_terminal({"cat"})));
    std::vector<std::chrono::steady_clock::duration> delays;
    for (int round = 0; round < 5; round++) {
        for (const auto& cat : cats) {
            const size_t before = cat->out.size();
            const auto begin = std::chrono::steady_clock::now();
            vm->type(cat, "k");
            vm->until([&] { return cat->out.size() > before; });
            delays.push_back(std::chrono::steady_clock::now() - begin);
        }
    }
    std::sort(delays.begin(), delays.end());
    const auto median = delays.at(delays.size() / 2);
    RecordProperty("median_us", static_cast<int>(median / 1us));
    EXPECT_LT(median, 100ms);
    vm->kill(flood->number, SIGKILL);
    vm->finish(flood);
}

}  // namespace
}  // namespace guest_test
