// What a VM mounts, seen from both sides (docs/spec/guest.md, File systems; docs/spec/exe-unit.md, deploy).
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

class VolumesTest : public SystemTest {
protected:
    // The host's folder of a volume.
    fs::path folder_of(const nlohmann::json& deployment, const std::string& path) const {
        for (const auto& volume : deployment["vols"]) {
            if (volume["path"] == path) return workdir / volume["name"].get<std::string>();
        }
        ADD_FAILURE() << "no volume at " << path;
        return {};
    }

    static std::string says(Runtime& vm, const std::string& script) {
        const Process process = vm.sh(script);
        EXPECT_EQ(process.code, 0) << script << ": " << process.err;
        return process.out;
    }
};

TEST_F(VolumesTest, HostVolumesAreSeenFromBothSides) {
    task_package = image("configured");
    const auto deployment = deploy({"--volume-override", R"({"/new/deep/volume":{"host":{}},"/data/inner":{"host":{}}})"});
    EXPECT_EQ(deployment["vols"].size(), 4U);  // two of the image's
    const auto vm = start();
    std::ofstream(folder_of(deployment, "/data") / "in") << "from the host";
    EXPECT_EQ(says(*vm, "ls /data; cat /data/in"), "in\ninner\nfrom the host");
    says(*vm, "echo out > /golem/output/o; echo deep > /new/deep/volume/d; echo inner > /data/inner/i");
    EXPECT_EQ(text_of(folder_of(deployment, "/golem/output") / "o"), "out\n");
    EXPECT_EQ(text_of(folder_of(deployment, "/new/deep/volume") / "d"), "deep\n");
    EXPECT_EQ(text_of(folder_of(deployment, "/data/inner") / "i"), "inner\n");
    says(*vm, "ln -s /etc/passwd /golem/output/link; mkdir /golem/output/folder; mv /golem/output/o /golem/output/folder/");
    EXPECT_FALSE(fs::is_symlink(folder_of(deployment, "/golem/output") / "link"));
    EXPECT_EQ(text_of(folder_of(deployment, "/golem/output") / "folder/o"), "out\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(VolumesTest, RamAndStorage) {
    const auto deployment = deploy({"--volume-override",
                                    R"({"/golem/output":{"ram":{"size":"1 MiB"}},"/disk/":{"storage":{"size":"64 MiB"}},
                                        "/other":{"storage":{"size":"32 MiB","preallocate":"16 MiB","errors":"remount-ro"}}})"});
    EXPECT_TRUE(deployment["vols"].empty());
    auto vm = start({"--mem-gib", "0.5"});
    EXPECT_EQ(says(*vm, "stat -f -c %T /golem/output /disk /other"), "tmpfs\next2/ext3\next2/ext3\n");
    EXPECT_THAT(says(*vm, "cat /proc/fs/ext4/*/options"), HasSubstr("errors=remount-ro"));
    const Process full = vm->sh("dd if=/dev/zero of=/golem/output/big bs=64k count=32");
    EXPECT_NE(full.code, 0);
    EXPECT_THAT(full.err, HasSubstr("No space left on device"));
    says(*vm, "dd if=/dev/zero of=/disk/big bs=1M count=40; echo kept > /disk/file; echo gone > /root-file");
    EXPECT_EQ(vm->shutdown(), 0);

    vm = start();
    EXPECT_EQ(says(*vm, "cat /disk/file; ls /root-file 2>&1 || true"), "kept\nls: /root-file: No such file or directory\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(VolumesTest, TheRootsWritesGoWhereTheOverrideSays) {
    deploy({"--volume-override", R"({"/":{"ram":{"size":"8 MiB"}}})"});
    auto vm = start();
    EXPECT_THAT(vm->sh("dd if=/dev/zero of=/big bs=1M count=20").err, HasSubstr("No space left on device"));
    EXPECT_EQ(vm->shutdown(), 0);
    deploy({"--volume-override", R"({"":{"storage":{"size":"100 MiB"}}})"});
    vm = start();
    says(*vm, "dd if=/dev/zero of=/big bs=1M count=60");
    EXPECT_THAT(vm->sh("dd if=/dev/zero of=/bigger bs=1M count=60").err, HasSubstr("No space left on device"));
    EXPECT_EQ(vm->shutdown(), 0);
}

// The space of the root's disk must come back however we end, and the next start finds a new one.
TEST_F(VolumesTest, TheRootsDiskLivesAsLongAsItsVm) {
    deploy();
    for (int round = 0; round < 2; round++) {
        const auto vm = start();
        EXPECT_TRUE(fs::is_empty(workdir / "storage"));
        says(*vm, "test ! -e /made; touch /made");
        EXPECT_EQ(vm->shutdown(), 0);
    }
}

// Each kind below each other one; what lies below is seen by nobody on the host but in its own folder.
TEST_F(VolumesTest, VolumesBelowVolumes) {
    const auto deployment =
        deploy({"--volume-override",
                R"({"/h":{"host":{}},"/h/h":{"host":{}},"/h/h/s":{"storage":{"size":"16 MiB"}},"/s":{"storage":{"size":"16 MiB"}},
                                        "/s/r":{"ram":{"size":"1 MiB"}},"/s/r/h":{"host":{}},"/s/h":{"host":{}}})"});
    ASSERT_EQ(deployment["vols"].size(), 4U);
    const auto vm = start();
    says(*vm, "for d in /h /h/h /h/h/s /s /s/r /s/r/h /s/h; do echo $d > $d/file; done");
    EXPECT_EQ(says(*vm, "cat /h/file /h/h/file /h/h/s/file /s/file /s/r/file /s/r/h/file /s/h/file"),
              "/h\n/h/h\n/h/h/s\n/s\n/s/r\n/s/r/h\n/s/h\n");
    for (const char* path : {"/h", "/h/h", "/s/r/h", "/s/h"})
        EXPECT_EQ(text_of(folder_of(deployment, path) / "file"), std::string(path) + "\n");
    EXPECT_FALSE(fs::exists(folder_of(deployment, "/h") / "h/file"));
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(VolumesTest, DeployRefusesAVolumeInThePlaceOfAFile) {
    const auto refusal = [this](const std::string& override_json) {
        const Output refused = run_program({program("ya-runtime-vm"), "--workdir", workdir, "--task-package", task_package,
                                            "--volume-override", override_json, "deploy", "--"});
        EXPECT_NE(refused.code, 0);
        EXPECT_EQ(refused.out, "");
        EXPECT_FALSE(fs::exists(workdir / "deployment.json"));
        return refused.err;
    };
    const char* const file = "cannot mount the volume \"/opt/bin/answer\": it is a file of the image, not a folder";
    EXPECT_THAT(refusal(R"({"/opt/bin/answer":{"host":{}}})"), HasSubstr(file));
    EXPECT_THAT(refusal(R"({"/opt/bin/answer":{"ram":{"size":"1m"}}})"), HasSubstr(file));
    EXPECT_THAT(refusal(R"({"/opt/bin/answer":{"storage":{"size":"8m"}}})"), HasSubstr(file));
    EXPECT_THAT(refusal(R"({"/opt/bin/answer/deep/er":{"host":{}}})"),
                HasSubstr("cannot mount the volume \"/opt/bin/answer/deep/er\": \"/opt/bin/answer\" is a file of the image, not a folder"));
    deploy({"--volume-override", R"({"/opt":{"ram":{"size":"1m"}},"/opt/bin/answer":{"host":{}}})"});  // the file is hidden
}

// The file is in the lower of two images, which deploy does not look into.
TEST_F(VolumesTest, AVolumeInThePlaceOfAFileIsAnAnswerToHello) {
    const fs::path lower = task_package;
    task_package = program("ya-runtime-vm").parent_path() / "runtime/self-test.gvmi";
    deploy({"--task-package", lower, "--volume-override", R"({"/opt/bin/answer":{"host":{}}})"});
    const auto vm = launch();
    try {
        vm->hello();
        ADD_FAILURE() << "the VM has started";
    } catch (const exeunit::ResponseError& e) {
        EXPECT_THAT(e.what(), HasSubstr("/opt/bin/answer: Not a directory"));
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(VolumesTest, TheUserMayWriteInEachVolume) {
    task_package = image("user-unknown-uid");  // 4242; the image's /data is another's, 0750
    deploy({"--volume-override",
            R"({"/data":{"host":{}},"/new":{"host":{}},"/disk":{"storage":{"size":"16 MiB"}},"/ram":{"ram":{"size":"1 MiB"}},
                "/var/tmp":{"ram":{"size":"1 MiB"}}})"});
    const auto vm = start();
    EXPECT_EQ(says(*vm, "for v in data new disk ram; do echo x > /$v/x; stat -c '%a %u' /$v; done"),
              "750 4242\n755 4242\n755 4242\n755 4242\n");
    EXPECT_EQ(says(*vm, "echo x > /var/tmp/x; stat -c '%a %u' /var/tmp"), "1777 0\n") << "the image has none";
    EXPECT_EQ(vm->shutdown(), 0);
}

// Bytes that a file of the host takes, which may have no name any more.
uint64_t allocated(const fs::path& path) {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
    return static_cast<uint64_t>(st.st_blocks) * 512;
}

// What the guest frees is the host's again, both on the root's disk, which only QEMU has, and on a storage volume.
TEST_F(VolumesTest, FreedSpaceReturnsToTheHost) {
    constexpr uint64_t kWritten = 100 << 20;
    deploy({"--storage-gib", "0.5", "--volume-override", R"({"/disk":{"storage":{"size":"200 MiB"}}})"});
    const auto vm = start({"--storage-gib", "0.5"});
    std::map<std::string, fs::path> found;  // by the name that they had; QEMU has each several times
    for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(vm->qemu_pid()) + "/fd")) {
        std::error_code ignored;
        const std::string target = fs::read_symlink(fd, ignored);
        if (target.starts_with((workdir / "storage").string())) found[target] = fd;
    }
    ASSERT_EQ(found.size(), 2U);
    std::vector<fs::path> disks;
    std::vector<uint64_t> empty;
    for (const auto& [_, disk] : found) {
        disks.push_back(disk);
        empty.push_back(allocated(disk));
    }
    says(*vm, "for d in /root /disk; do dd if=/dev/urandom of=$d/big bs=1M count=100 conv=fsync 2>&1; done");
    for (size_t i = 0; i < 2; i++)
        EXPECT_GE(allocated(disks[i]), kWritten);
    says(*vm, "rm /root/big /disk/big; sync");
    vm->until([&] { return allocated(disks[0]) < empty[0] + kWritten / 10 && allocated(disks[1]) < empty[1] + kWritten / 10; });
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(VolumesTest, DeployRefusesWhatDoesNotFitAndSaysTheNumbers) {
    const Output refused = run_program({program("ya-runtime-vm"), "--workdir", workdir, "--task-package", task_package, "--storage-gib",
                                        "1", "--volume-override", R"({"/disk":{"storage":{"size":"2.1 GB"}}})", "deploy", "--"});
    EXPECT_NE(refused.code, 0);
    EXPECT_EQ(refused.out, "");
    EXPECT_THAT(refused.err,
                HasSubstr("the storage volumes take 2.0 GiB and the root needs at least 16.0 MiB, of the storage agreed on, 1.0 GiB"));
    EXPECT_FALSE(fs::exists(workdir / "storage"));
}

TEST_F(VolumesTest, SeveralImagesAreOneRoot) {
    const auto vm_says = [this](const std::vector<std::string>& images, const std::string& script) {
        std::vector<std::string> argv{program("ya-runtime-vm"), "--accel", "tcg", "--task-package"};
        argv.insert(argv.end(), images.begin(), images.end());
        argv.insert(argv.end(), {"run", "--", "/bin/sh", "-c", script});
        return run_program(argv);
    };
    const Output output = vm_says({image("configured"), image("plain"), image("user-uid")}, "echo $COLOUR; id -un; ls -d /data");
    EXPECT_EQ(output.out, "deep red\nguest\n/data\n");
    EXPECT_EQ(output.code, 0) << output.err;
    EXPECT_EQ(vm_says({image("plain"), image("configured")}, "echo \"[$COLOUR]\"; id -un").out, "[]\nroot\n");
}

}  // namespace
}  // namespace system_test
