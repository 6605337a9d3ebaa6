#include "base/subprocess.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>

#include <csignal>

#include "base/error.h"

namespace {

TEST(Run, ReturnsOutputAndCode) {
    const base::Finished finished = base::run({"sh", "-c", "echo out; echo err >&2; exit 3"});
    EXPECT_EQ(finished.code, 3);
    EXPECT_EQ(finished.output, "out\nerr\n");
    EXPECT_EQ(base::run({"sh", "-c", "kill -9 $$"}).code, 137);
}

TEST(Spawn, SaysWhyAProgramCannotStart) {
    try {
        base::spawn({.argv = {"/etc/passwd"}, .environment = {}, .fds = {}});
        FAIL();
    } catch (const base::SystemError& e) {
        EXPECT_STREQ(e.what(), "cannot start /etc/passwd: Permission denied");
    }
    EXPECT_THROW(base::spawn({.argv = {"no-such-program"}, .environment = {}, .fds = {}}), base::SystemError);
}

TEST(Spawn, PassesExactlyTheDescriptorsAndEnvironmentNamed) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const base::UniqueFd read_end(pipe[0]);
    base::UniqueFd write_end(pipe[1]);
    const base::UniqueFd extra = base::open_file("/dev/zero", O_RDONLY);
    // One that is not marked close-on-exec, as programs that start ours leave them.
    const base::UniqueFd leaked(::open("/dev/full", O_RDWR));
    ASSERT_TRUE(leaked);
    // 3 and 1 swap roles on purpose when the test's own descriptors have these numbers.
    base::Child child =
        base::spawn({.argv = {"/bin/sh", "-c", "for f in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$f; done; /usr/bin/env"},
                     .environment = {"A=b"},
                     .fds = {{write_end.get(), 1}, {extra.get(), 5}}});
    write_end.reset();
    std::string text(4096, '\0');
    text.resize(base::read_full(read_end.get(), std::as_writable_bytes(std::span(text)), "pipe"));
    EXPECT_EQ(child.wait(), 0);
    EXPECT_TRUE(text.starts_with("/dev/null\npipe:")) << text;
    EXPECT_NE(text.find("\n/dev/null\n/dev/zero\n"), std::string::npos) << text;  // 2, then 5: nothing at 3, 4
    EXPECT_EQ(text.find("/dev/full"), std::string::npos) << text;
    EXPECT_NE(text.find("A=b\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("PATH="), std::string::npos) << text;
}

TEST(Child, IsKilledByTheDestructor) {
    pid_t pid = -1;
    {
        const base::Child child = base::spawn({.argv = {"sleep", "1000"}, .environment = {}, .fds = {}});
        pid = child.pid();
        EXPECT_EQ(::kill(pid, 0), 0);
    }
    EXPECT_LT(::kill(pid, 0), 0);
}

TEST(Child, DiesWithItsParent) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const base::UniqueFd read_end(pipe[0]);
    base::UniqueFd write_end(pipe[1]);
    // The grandchild holds the only write end: end of file on the pipe means that it is gone.
    const pid_t parent = ::fork();
    if (parent == 0) {
        const base::Child child = base::spawn({.argv = {"sleep", "1000"}, .environment = {}, .fds = {{write_end.get(), 1}}});
        ::kill(::getpid(), SIGKILL);
    }
    write_end.reset();
    ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
    pollfd waiting{read_end.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 10000), 1);
}

TEST(Child, PidfdTellsItsEnd) {
    base::Child child = base::spawn({.argv = {"true"}, .environment = {}, .fds = {}});
    pollfd waiting{child.pidfd(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 10000), 1);
    EXPECT_EQ(base::exit_code(child.wait()), 0);
}

}  // namespace
