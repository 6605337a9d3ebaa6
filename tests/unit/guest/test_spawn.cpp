#include "init/spawn.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Candidates, ANameWithASlashIsAPath) {
    EXPECT_THAT(init::candidates("/bin/x", "/a:/b"), ElementsAre("/bin/x"));
    EXPECT_THAT(init::candidates("./x", "/a:/b"), ElementsAre("./x"));
    EXPECT_THAT(init::candidates("x/", "/a"), ElementsAre("x/"));
}

TEST(Candidates, OthersAreInTheFoldersOfPath) {
    EXPECT_THAT(init::candidates("x", "/a:/b"), ElementsAre("/a/x", "/b/x"));
    EXPECT_THAT(init::candidates("x", ":/b:"), ElementsAre("./x", "/b/x", "./x"));
    EXPECT_THAT(init::candidates("x", ""), ElementsAre("./x"));
    EXPECT_THAT(init::candidates("", "/a"), IsEmpty());
}

// What the child does as another user is tested in a VM.
TEST(Launch, RunsAProgramWithItsOutputsOnPipes) {
    const std::vector<std::string> environment{"K=V"};
    container::Identity user;
    user.uid = ::getuid();
    user.gid = ::getgid();
    const auto start = [&](const char* script, const char* program = "/bin/sh") {
        init::Program p{program, {program}, {"sh", "-c", script}, &environment, "/", &user};
        auto launch = init::Launch::start(std::move(p));
        EXPECT_TRUE(launch.ok()) << launch.status.text;
        return std::move(launch.value);
    };
    auto launch = start("echo $K $PWD; exit 3");
    pollfd waiting{launch->report_fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, 20000), 1);
    EXPECT_TRUE(launch->outcome().ok());
    int status = 0;
    ASSERT_EQ(::waitpid(launch->pid(), &status, 0), launch->pid());
    EXPECT_EQ(WEXITSTATUS(status), 3);
    char text[100];
    const ssize_t size = ::read(launch->out.get(), text, sizeof text);
    EXPECT_EQ(std::string(text, static_cast<size_t>(std::max<ssize_t>(size, 0))), "V /\n");

    launch = start("", "/nonexistent");
    waiting.fd = launch->report_fd();
    ASSERT_EQ(::poll(&waiting, 1, 20000), 1);
    const init::Status outcome = launch->outcome();
    EXPECT_EQ(outcome.text, "cannot run /nonexistent: No such file or directory");
    EXPECT_EQ(outcome.code, agent::Error::NOT_FOUND);
    ASSERT_EQ(::waitpid(launch->pid(), &status, 0), launch->pid());
}

}  // namespace
