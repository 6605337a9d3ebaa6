// How templates are made, and when none is.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <set>

#include "template_fixture.h"

namespace system_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(Template, IsMadeByAStartThatFindsNone) {
    deploy(options());
    auto runtime = start(options());
    runtime->until([&] { return qemu_processes().size() == 2; });
    std::multiset<int> priorities;
    for (const pid_t pid : qemu_processes())
        priorities.insert(::getpriority(PRIO_PROCESS, static_cast<id_t>(pid)));
    EXPECT_THAT(priorities, ElementsAre(::getpriority(PRIO_PROCESS, 0), 19));
    // The supervisor bills what its group uses; nobody pays for what is made for later VMs.
    EXPECT_THAT(group_members(runtime->pid()), testing::SizeIs(2)) << "the runtime and its VM";
    EXPECT_EQ(runtime->sh("echo busy").out, "busy\n");  // it does not wait for that
    runtime->until([&] { return !templates().empty(); });
    runtime->until([&] { return qemu_processes().size() == 1; });
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_EQ(start_expecting(true)->shutdown(), 0);
    EXPECT_THAT(templates(), SizeIs(1));
}

TEST_F(Template, InTheMakingEndsWithItsRuntime) {
    deploy(options());
    for (const bool killed : {true, false}) {
        auto runtime = start(options());
        runtime->until([&] { return qemu_processes().size() == 2; });
        if (killed) {
            ASSERT_EQ(::kill(runtime->pid(), SIGKILL), 0);
        } else {
            EXPECT_EQ(runtime->shutdown(), 0);
        }
        runtime->until([&] { return group_members(runtime->pid()).empty() && qemu_processes().empty(); });
        EXPECT_THAT(templates(), IsEmpty());
    }
}

TEST_F(Template, IsMadeOnceByTenThatStartAtOnce) {
    std::vector<std::unique_ptr<Runtime>> runtimes;
    std::vector<std::vector<std::string>> all;
    for (int i = 0; i < 10; i++) {
        const fs::path own = workdir / std::to_string(i);
        fs::create_directory(own);
        all.push_back(options({"--workdir", own}));
        deploy(all.back());
    }
    runtimes.reserve(all.size());
    for (const auto& each : all)
        runtimes.push_back(launch(each));
    for (const auto& runtime : runtimes)
        EXPECT_NE(runtime->hello(), "");
    runtimes[0]->until([&] { return !templates().empty(); });
    for (const auto& runtime : runtimes) {
        EXPECT_EQ(runtime->sh("echo up").out, "up\n");
        EXPECT_EQ(runtime->shutdown(), 0);
    }
    EXPECT_THAT(templates(), SizeIs(1));
    for (auto& runtime : runtimes)
        runtime = nullptr;
    for (const auto& each : all)
        runtimes.push_back(launch(each));
    for (size_t i = all.size(); i < runtimes.size(); i++) {
        runtimes[i]->hello();
        EXPECT_TRUE(is_restored(runtimes[i]->qemu_pid()));
        EXPECT_EQ(runtimes[i]->shutdown(), 0);
    }
}

TEST_F(Template, IsDoneWithoutWhereTheDiskIsFull) {
    deploy(options());
    fs::create_directories(cache());
    if (::mount("tmpfs", cache().c_str(), "tmpfs", 0, "size=4m") < 0) GTEST_SKIP() << "no right to mount a file system";
    auto runtime = start_expecting(false);
    runtime->until([&] { return log().find("no template for VMs like this one: cannot write: No space left") != std::string::npos; });
    EXPECT_EQ(runtime->sh("echo up").out, "up\n");
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_THAT(templates(), IsEmpty());
    EXPECT_EQ(::umount2(cache().c_str(), MNT_DETACH), 0);
}

TEST_F(Template, IsNotTriedAgainForADayWhereItDidNotWork) {
    warm();
    deploy(options());
    const fs::path file = templates().at(0);
    fs::rename(file, fs::path(file).replace_extension(".refused"));
    auto runtime = start_expecting(false);
    EXPECT_EQ(runtime->sh("sleep 1").code, 0);  // in which it would begin to make one
    EXPECT_THAT(qemu_processes(), SizeIs(1));
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_THAT(templates(), SizeIs(1)) << "the mark alone";
    const Output output =
        run_program({program("ya-runtime-vm"), "--accel", "tcg", "--cache-dir", cache(), "--mem-gib", "0.125", "template", "warm"});
    EXPECT_EQ(output.code, 1);
    EXPECT_THAT(output.err, HasSubstr("were tried here in the last 24 hours and did not work"));
}

TEST_F(Template, IsRefusedOnceTwoVmsFromItHaveDied) {
    deploy(options());
    for (const size_t deaths : {1U, 2U}) {
        fs::remove_all(store());
        auto runtime = start(options());
        std::set<pid_t> killed;
        runtime->until([&] {
            for (const pid_t qemu : qemu_processes()) {
                if (killed.size() < deaths && is_restored(qemu) && killed.insert(qemu).second) (void)::kill(qemu, SIGKILL);
            }
            return !templates().empty();
        });
        EXPECT_THAT(killed, SizeIs(deaths));
        EXPECT_EQ(templates().at(0).extension(), deaths == 1 ? ".template" : ".refused");
        EXPECT_EQ(runtime->shutdown(), 0);
    }
}

TEST_F(Template, IsMadeByTheSelfTest) {
    const Output output = run_program({program("ya-runtime-vm"), "--accel", "tcg", "--cache-dir", cache(), "--test-timeout", "60", "test"});
    EXPECT_EQ(output.code, 0) << output.err;
    EXPECT_THAT(output.err, HasSubstr("VMs like this one now start from a template"));
    EXPECT_THAT(templates(), SizeIs(1));
}

}  // namespace
}  // namespace system_test
