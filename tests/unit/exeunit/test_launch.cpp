#include "exeunit/launch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"

namespace exeunit {
namespace {
using namespace std::chrono_literals;

std::string read_all(int fd) {
    std::string text(4096, '\0');
    text.resize(base::read_full(fd, std::as_writable_bytes(std::span(text)), "a pipe"));
    return text;
}

TEST(Launch, PipesWorkingDirectoryAndEnvironment) {
    Launched cat = launch(
        {.argv = {"sh", "-c", "pwd; echo $COLOUR $HOME; cat"}, .working_directory = "/usr", .environment = {"COLOUR=red", "HOME=/h"}});
    base::write_all(cat.input.get(), "text", "a pipe");
    cat.input.reset();
    EXPECT_EQ(read_all(cat.output.get()), "/usr\nred /h\ntext");
    EXPECT_EQ(wait_for(cat.child, 10s), 0);
}

TEST(Launch, GroupOnlyWhereAsked) {
    for (const bool own : {false, true}) {
        Launched child = launch({.argv = {"cat"}, .working_directory = "/", .own_process_group = own});
        EXPECT_EQ(::getpgid(child.child.pid()), own ? child.child.pid() : ::getpgrp());
    }
}

TEST(Launch, DeadlineAndSignal) {
    Launched child = launch({.argv = {"sleep", "1000"}, .working_directory = "/"});
    EXPECT_EQ(wait_for(child.child, 10ms), std::nullopt);
    child.child.kill(SIGTERM);
    EXPECT_EQ(wait_for(child.child, 60s), 128 + SIGTERM);
}

TEST(Launch, MissingProgramAndFolderAreErrors) {
    EXPECT_THROW(launch({.argv = {"/no/such/program"}, .working_directory = "/"}), base::SystemError);
    EXPECT_THROW(launch({.argv = {"cat"}, .working_directory = "/no/such/folder"}), base::SystemError);
}

}  // namespace
}  // namespace exeunit
