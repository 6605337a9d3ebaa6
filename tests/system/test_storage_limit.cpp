// What a VM may hold of the provider's disk (docs/spec/exe-unit.md, "Limits"), and that nothing of it is left that its user cannot remove.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "fixture.h"

namespace system_test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

class StorageLimit : public SystemTest {
protected:
    // No disk image: all that the VM holds is in its host volume at /work. Returns that volume's folder.
    fs::path deploy_volume() {
        const auto deployment = deploy({"--volume-override", R"({"/work":{"host":{}},"/":{"ram":{"size":"16 MiB"}}})"});
        return workdir / deployment["vols"][0]["name"].get<std::string>();
    }

    // The runtime has looked at its volumes and found at least so many MiB.
    static void wait_for_look(Runtime& vm, double least_mib) {
        vm.until([&] {
            return std::any_of(vm.told().begin(), vm.told().end(), [least_mib](const api::RuntimeStatus& status) {
                return status.counter().name() == "golem.usage.storage.used-mib" && status.counter().value() >= least_mib;
            });
        });
    }

    // The script never ends by itself: its VM must.
    static void expect_end(Runtime& vm, const std::string& script, const std::string& reason) {
        const Process process = vm.sh(script + "; while true; do sleep 1; done");
        EXPECT_EQ(process.code, 137);
        EXPECT_THAT(process.err, ContainsRegex("ya-runtime-vm: the VM died: " + reason + "\n$"));
        EXPECT_THAT(vm.hello_error(), ContainsRegex("the VM died: " + reason));
        EXPECT_EQ(vm.shutdown(), 0);
    }

    static constexpr const char* kLimit = "0.03";  // GiB: 30 MiB
    static constexpr const char* kOver = "its root and volumes took [0-9.]+ [MG]iB of the provider's disk, and may take 30.0 MiB";
};

TEST_F(StorageLimit, ALargeFileInAHostVolumeEndsTheVm) {
    const fs::path folder = deploy_volume();
    const auto vm = start({"--storage-limit-gib", kLimit});
    expect_end(*vm, "dd if=/dev/zero of=/work/file bs=1M count=40 2>&1", kOver);
    EXPECT_GT(fs::file_size(folder / "file"), 30U << 20);  // for the user to look at
}

// As it is without the option: what was agreed on, and a twentieth.
TEST_F(StorageLimit, TheAgreedStorageIsTheLimitOfAllTogether) {
    const std::vector<std::string> storage{"--storage-gib", "0.06"};
    deploy({"--storage-gib", "0.06", "--volume-override", R"({"/work":{"host":{}}})"});
    const auto vm = start(storage);
    EXPECT_EQ(vm->sh("dd if=/dev/urandom of=/file bs=1M 2> /dev/null && exit 1; sync").code, 0);  // the root is full: its own limit
    EXPECT_EQ(vm->sh("echo small > /work/small").code, 0);
    expect_end(*vm, "dd if=/dev/zero of=/work/file bs=1M count=30 2>&1",
               "its root and volumes took [0-9.]+ MiB of the provider's disk, and may take 64.0 MiB");
}

TEST_F(StorageLimit, ManyEmptyFilesEndTheVm) {
    deploy_volume();
    const auto vm = start({"--storage-limit-gib", "0.002"});
    expect_end(*vm, "cd /work; seq 4000 | xargs touch",
               "its root and volumes took [0-9.]+ MiB of the provider's disk, and may take 2.0 MiB");
}

TEST_F(StorageLimit, AFileThatWasRemovedButIsWrittenToEndsTheVm) {
    deploy_volume();
    const auto vm = start({"--storage-limit-gib", kLimit});
    expect_end(*vm, "exec 3> /work/file; rm /work/file; dd if=/dev/zero bs=1M count=40 >&3 2> /dev/null", kOver);
}

TEST_F(StorageLimit, FoldersThatAreNestedTooDeepEndTheVm) {
    const fs::path folder = deploy_volume();
    const auto vm = start({"--storage-limit-gib", "0"});
    expect_end(*vm, "cd /work; i=0; while test $i -lt 600; do mkdir d; cd d; i=$((i+1)); done",
               "the folders in its host volumes are nested deeper than 512 levels");
    // No way down is longer than what a program that removes a tree can follow.
    EXPECT_THAT(run_program({"find", workdir / "volumes", "-mindepth", "515"}).out, IsEmpty());
}

TEST_F(StorageLimit, BelowItAVmLives) {
    deploy_volume();
    const auto vm = start({"--storage-limit-gib", kLimit, "--counters", "1"});
    EXPECT_EQ(vm->sh("cd /work; truncate -s 20G sparse; dd if=/dev/zero of=file bs=1M count=20 2>&1").code, 0);
    wait_for_look(*vm, 20);
    EXPECT_EQ(vm->sh("cd /work; rm file; dd if=/dev/zero of=file2 bs=1M count=22 2>&1").code, 0);
    wait_for_look(*vm, 22);
    EXPECT_EQ(vm->sh("echo alive").out, "alive\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(StorageLimit, WithoutALimitNothingEndsTheVm) {
    deploy({"--storage-gib", "0.02", "--volume-override", R"({"/work":{"host":{}}})"});
    const auto vm = start({"--storage-gib", "0.02", "--storage-limit-gib", "0", "--counters", "1"});
    EXPECT_EQ(vm->sh("dd if=/dev/zero of=/work/file bs=1M count=40 2>&1").code, 0);
    wait_for_look(*vm, 40);
    EXPECT_EQ(vm->sh("echo alive").out, "alive\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(StorageLimit, RunSaysIt) {
    const Output output = run_program({program("ya-runtime-vm"), "--accel", "tcg", "--task-package", task_package, "--storage-limit-gib",
                                       "0.02", "--volume-override", R"({"/work":{"host":{}}})", "run", "--", "/bin/sh", "-c",
                                       "dd if=/dev/zero of=/work/file bs=1M count=40 2> /dev/null; while true; do sleep 1; done"});
    EXPECT_NE(output.code, 0);
    EXPECT_THAT(output.err, AllOf(HasSubstr("the VM died: its root and volumes took"), HasSubstr("and may take 20.0 MiB")));
}

TEST_F(StorageLimit, WhatAGuestLeavesCanBeRemoved) {
    deploy_volume();
    const auto vm = start();
    EXPECT_EQ(vm->sh(R"sh(
        set -e
        cd /work
        mkdir -p a/b/c closed/none hidden; echo x > a/b/c/file; echo x > closed/none/file; echo x > hidden/file
        i=0; while test $i -lt 300; do mkdir d; cd d; i=$((i+1)); done; echo x > file; chmod 444 file; chmod 555 .; cd /work
        chmod 0 a/b/c/file hidden/file; chmod 555 a/b/c; chmod 111 a/b; chmod 0 a closed/none hidden; chmod 444 closed
    )sh")
                  .code,
              0);
    EXPECT_EQ(vm->shutdown(), 0);
    // Root removes anything, so look at what its user needs.
    EXPECT_THAT(run_program({"find", workdir / "volumes", "-type", "d", "!", "-perm", "-700"}).out, IsEmpty());
    const Output removed = run_program({"rm", "-rf", workdir / "volumes"});
    EXPECT_EQ(removed.err, "");
    EXPECT_FALSE(fs::exists(workdir / "volumes"));
}

TEST_F(StorageLimit, TheOptionTakesANumberOfGib) {
    for (const char* bad : {"-1", "nan", "inf", "many", ""}) {
        const Output refused = run_program({program("ya-runtime-vm"), "--storage-limit-gib", bad, "test"});
        EXPECT_EQ(refused.code, 2) << bad;
        EXPECT_THAT(refused.err, HasSubstr("--storage-limit-gib")) << bad;
    }
}

}  // namespace
}  // namespace system_test
