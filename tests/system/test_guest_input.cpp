// What the host sends to a process: its stdin, variables and user.
#include <csignal>
#include <random>

#include "agent/frame.h"
#include "guest_fixture.h"

namespace guest_test {
namespace {

agent::Exec with_input(const std::vector<std::string>& argv) {
    agent::Exec exec = GuestVm::exec(argv);
    exec.set_input(true);
    return exec;
}

TEST_F(Guest, InputComesOutByteForByte) {
    const auto vm = start();
    std::string sent(8 << 20, '\0');
    std::mt19937 random(1);
    for (char& byte : sent)
        byte = static_cast<char>(random());
    const auto cat = vm->begin(with_input({"cat"}));
    vm->type(cat, sent, true);
    vm->finish(cat);
    EXPECT_EQ(cat->exited->code(), 0);
    EXPECT_TRUE(cat->out == sent) << cat->out.size() << " bytes";
    const auto empty = vm->begin(with_input({"wc", "-c"}));
    vm->type(empty, "", true);
    vm->finish(empty);
    EXPECT_EQ(empty->out, "0\n");
}

TEST_F(Guest, InputThatNobodyReadsHoldsUpNobody) {
    const auto vm = start();
    const auto deaf = vm->begin(with_input({"sleep", "1000"}));
    size_t room = 0;
    // Its pipe fills, and then the window.
    while ((room = vm->client().input_room(deaf->number)) > 0) {
        vm->client().input(deaf->number, std::string(room, 'x'), false);
        EXPECT_EQ(vm->sh("echo well")->out, "well\n");
    }
    vm->kill(deaf->number, SIGKILL);
    vm->finish(deaf);
    EXPECT_EQ(deaf->exited->code(), 128 + SIGKILL);
}

TEST_F(Guest, InputEndsWithItsReader) {
    const auto vm = start();
    const auto head = vm->begin(with_input({"head", "-c", "3"}));
    vm->type(head, std::string(2 << 20, 'x'));
    vm->finish(head);
    EXPECT_EQ(head->out, "xxx");
    EXPECT_EQ(head->exited->code(), 0);
    // Closed by a program that goes on: what comes is dropped.
    const auto closed = vm->begin(with_input({"/bin/sh", "-c", "exec <&-; echo closed; sleep 1000"}));
    vm->until([&] { return closed->out == "closed\n"; });
    vm->client().input(closed->number, std::string(agent::kInputWindow, 'x'), true);
    EXPECT_EQ(vm->sh("echo well")->out, "well\n");
    vm->kill(closed->number, SIGKILL);
    vm->finish(closed);
}

TEST_F(Guest, GivesAProcessVariablesAndAUserOfItsOwn) {
    agent::Setup setup = GuestVm::setup();
    for (const char* entry : {"A=image", "B=image"})
        setup.add_env(entry);
    const auto vm = start(setup);
    agent::Exec exec = GuestVm::exec({"env"});
    exec.add_env("A=first");
    exec.add_env("A=last");
    exec.set_user("guest");
    EXPECT_EQ(vm->run(exec)->out,
              "A=last\nB=image\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/home/guest\nHOSTNAME=golem\n");
    EXPECT_THAT(vm->run({"env"})->out, StartsWith("A=image\nB=image\n")) << "the image's stay";
    exec = GuestVm::exec({"id"});
    exec.set_user("guest:staff");
    EXPECT_EQ(vm->run(exec)->out, "uid=1000(guest) gid=50(staff) groups=50(staff)\n");
    exec.set_user("unknown");
    EXPECT_THAT(vm->refused(exec).what(), HasSubstr("no user \"unknown\""));
    exec = GuestVm::exec({"echo"});
    exec.add_env("PATH=/nowhere");
    EXPECT_THAT(vm->refused(exec).what(), HasSubstr("no such program in PATH"));
}

TEST_F(Guest, ConnectsToAPortOfTheLoopback) {
    const auto vm = start();
    agent::Exec exec;
    exec.set_builtin(agent::CONNECT);
    exec.add_args("8000");
    exec.set_credit(256 << 10);
    const auto refused = vm->run(exec);
    EXPECT_EQ(refused->exited->code(), 1);
    EXPECT_EQ(refused->err, "cannot connect to port 8000: Connection refused\n");
    // It answers when it has seen the end of what it was sent.
    const auto server = vm->begin({"busybox", "nc", "-l", "-p", "8000", "-e", "/bin/wc", "-c"});
    ASSERT_EQ(vm->sh("until busybox netstat -ltn | grep -q :8000; do sleep 0.1; done")->exited->code(), 0);
    const auto connection = vm->begin(exec);
    vm->type(connection, std::string(1 << 20, 'x'), true);
    vm->finish(connection);
    EXPECT_EQ(connection->out, "1048576\n");
    EXPECT_EQ(connection->exited->code(), 0);
    vm->finish(server);
}

}  // namespace
}  // namespace guest_test
