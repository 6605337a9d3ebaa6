#include "dbg/options.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/error.h"

namespace dbg {
namespace {

using testing::ElementsAre;

TEST(Options, CommandLinesOfTheRuntime) {
    Options options;
    options.runtime = "/r/ya-runtime-vm";
    options.workdir = "/w";
    options.task_package = "/i.gvmi";
    options.runtime_arguments = {"--cpu-cores", "2"};
    options.deploy_arguments = {"--"};
    options.start_arguments = {"start-entrypoint"};
    EXPECT_THAT(deploy_argv(options),
                ElementsAre("/r/ya-runtime-vm", "--workdir", "/w", "--task-package", "/i.gvmi", "--cpu-cores", "2", "deploy", "--"));
    EXPECT_THAT(start_argv(options, ""), ElementsAre("/r/ya-runtime-vm", "--workdir", "/w", "--task-package", "/i.gvmi", "--cpu-cores", "2",
                                                     "start", "start-entrypoint"));
}

TEST(Options, DebugChannelIsAskedForAtStartAlone) {
    Options options;
    options.runtime = "/r/ya-runtime-vm";
    options.workdir = "/w";
    options.start_arguments = {"start-entrypoint"};
    EXPECT_THAT(deploy_argv(options), ElementsAre("/r/ya-runtime-vm", "--workdir", "/w", "deploy"));
    EXPECT_THAT(start_argv(options, "/run/vm/socket"),
                ElementsAre("/r/ya-runtime-vm", "--workdir", "/w", "start", "--debug-socket", "/run/vm/socket", "start-entrypoint"));
}

TEST(Options, DebugChannelOnlyOfTheOwnRuntime) {
    Options options;
    EXPECT_TRUE(has_debug_channel(options));
    options.mode = ExecMode::shell;
    EXPECT_FALSE(has_debug_channel(options));
    options.mode.reset();
    options.runtime = "/bin/sh";
    EXPECT_FALSE(has_debug_channel(options));
}

TEST(Options, WhatNeedsTheDebugChannelIsRefusedWithoutIt) {
    Options options;
    options.runtime = "/bin/sh";
    options.tty = false;
    complete(options);
    options.environment = {"K=V"};
    EXPECT_THAT([&options] { complete(options); },
                testing::ThrowsMessage<base::Error>("--env: only with the ya-runtime-vm beside this program, not with --runtime /bin/sh"));
    options.mode = ExecMode::exec;
    EXPECT_THAT([&options] { complete(options); },
                testing::ThrowsMessage<base::Error>("--env: not with --exec-mode, since a requestor cannot ask for it"));
}

TEST(Options, RelativePathsMeanOurFolder) {
    Options options;
    options.runtime = "bin/runtime";
    options.workdir = "w";
    const auto here = std::filesystem::current_path();
    EXPECT_THAT(start_argv(options, ""), ElementsAre((here / "bin/runtime").string(), "--workdir", (here / "w").string(), "start"));
}

TEST(Options, RuntimeIsTheOneBesideThisProgram) {
    Options options;
    try {
        complete(options);
        ADD_FAILURE() << "no runtime is there";
    } catch (const base::Error& e) {
        const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "ya-runtime-vm";
        EXPECT_EQ(e.what(), "runtime " + beside.string() + ": No such file or directory");
    }
}

TEST(Options, MissingImageIsTold) {
    Options options;
    options.runtime = "/bin/sh";
    complete(options);
    options.task_package = "/no/such.gvmi";
    EXPECT_THROW(complete(options), base::Error);
}

TEST(Options, SyncedFolders) {
    EXPECT_EQ(parse_sync("src:/golem/in").folder, "src");
    EXPECT_EQ(parse_sync("src:/golem/in").guest, "/golem/in");
    EXPECT_EQ(parse_sync("/a:b/c:/d").folder, "/a:b/c");
    for (const char* wrong : {"src", "src:in", ":/in", ""})
        EXPECT_THROW((void)parse_sync(wrong), base::Error) << wrong;
    Options options;
    options.runtime = "/bin/sh";
    options.run_again = "make";
    EXPECT_THROW(complete(options), base::Error);
    options.syncs = {parse_sync("src:/golem/in")};
    complete(options);
}

}  // namespace
}  // namespace dbg
