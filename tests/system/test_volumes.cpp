// What a VM mounts, seen from both sides (guest.md, File systems; exe-unit.md, deploy).
#include <gmock/gmock.h>

#include <fstream>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

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
