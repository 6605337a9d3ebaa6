// Templates: VMs that resume from another's state, and all that can be wrong with a saved state.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "template_fixture.h"
#include "vm/template_file.h"

namespace system_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Bytes of the host's memory that a VM takes.
uint64_t memory_of(pid_t qemu) {
    for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(qemu) + "/fd")) {
        struct stat status {};
        if (fs::read_symlink(entry).string().starts_with("/memfd:vm-memory") && ::stat(entry.path().c_str(), &status) == 0)
            return static_cast<uint64_t>(status.st_blocks) * 512;
    }
    throw base::Error("this VM has no memory");
}

std::string hash_of(const fs::path& file) {
    const std::string text = text_of(file);
    return base::sha256_hex(std::as_bytes(std::span(text)));
}

void damage(const fs::path& file, uint64_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(byte);
}

// It would fail in a VM that boots, too: there is no second try, and no word about templates.
TEST_F(Template, AnErrorOfTheImageIsNotItsFault) {
    warm();
    task_package = image("user-unknown-name");
    deploy();
    const auto runtime = launch(options());
    EXPECT_THAT([&] { runtime->hello(); },
                testing::ThrowsMessage<exeunit::ResponseError>(HasSubstr("/etc/passwd has no user \"nobody-knows\"")));
    EXPECT_THAT(log(), testing::AllOf(HasSubstr("nobody-knows"), Not(HasSubstr("booting")), Not(HasSubstr("template"))));
    EXPECT_THAT(templates(), SizeIs(1));
}

TEST_F(Template, ServesAVmWithEverythingThatACommandLineCanAskFor) {
    warm();
    task_package = image("configured");
    const std::vector<std::string> deployed = options(
        {"--task-package", image("plain"), "--hostname", "other", "--volume-override",
         R"({"/a":{"host":{}},"/b":{"storage":{"size":"16 MiB"}},"/c":{"storage":{"size":"16 MiB"}},"/d":{"ram":{"size":"1 MiB"}}})"});
    deploy(deployed);
    auto runtime = start_expecting(true, {"--task-package", image("plain"), "--hostname", "other", "--vpn-endpoint", "udp://127.0.0.1:9",
                                          "--inet-endpoint", "udp://127.0.0.1:9"});
    EXPECT_EQ(runtime->sh("for v in /a /b /c /d; do echo $v > $v/file && cat $v/file; done; cat /proc/sys/kernel/hostname").out,
              "/a\n/b\n/c\n/d\nother\n");
    EXPECT_EQ(runtime->sh("cd /sys/class/net; cat eth0/address eth0/mtu eth1/address eth1/mtu").out,
              "90:13:00:00:00:01\n1220\n90:13:00:00:00:02\n65280\n");
    EXPECT_EQ(runtime->sh("echo $COLOUR; id -u").out, "deep red\n1000\n");
    EXPECT_EQ(runtime->shutdown(), 0);
}

// With nothing else in the VM that would wake QEMU.
TEST_F(Template, ServesAVmWithAStorageVolumeAlone) {
    warm();
    deploy(options({"--volume-override", R"({"/s":{"storage":{"size":"16 MiB"}}})"}));
    auto runtime = start_expecting(true);
    EXPECT_EQ(runtime->sh("echo here > /s/file && sync && cat /s/file").out, "here\n");
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(Template, LeavesNoPlaceholderInTheVm) {
    warm();
    deploy(options({"--volume-override", R"({"/":{"ram":{"size":"8 MiB"}}})"}));
    auto runtime = start_expecting(true);
    EXPECT_EQ(runtime->sh("echo 1 > /file && cat /file").out, "1\n");
    EXPECT_THAT(runtime->sh("cd /sys/class/net && ls -d eth*").out, IsEmpty());
    EXPECT_EQ(runtime->sh("cat /sys/block/vd*/serial").out, "image0");
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(Template, IsNotAskedForWhereItIsOff) {
    warm();
    deploy(options());
    auto runtime = start_expecting(false, {"--template", "off"});
    EXPECT_EQ(runtime->shutdown(), 0);
    fs::remove(templates().at(0));
    runtime = start_expecting(false, {"--template", "off"});
    EXPECT_THAT(qemu_processes(), SizeIs(1));
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_THAT(templates(), IsEmpty());
}

TEST_F(Template, GivesEachVmItsOwnSecretsNameAndTime) {
    warm();
    task_package = image("ssh");
    std::vector<std::string> said;
    for (const char* name : {"one", "two"}) {
        const std::vector<std::string> own = options({"--hostname", name});
        deploy(own);
        auto runtime = start_expecting(true, {"--hostname", name});
        EXPECT_EQ(runtime->sh("hostname").out, std::string(name) + "\n");
        const std::time_t before = std::time(nullptr);
        const std::time_t now = std::stol(runtime->sh("date +%s").out);
        EXPECT_GE(now, before - 2);
        EXPECT_LE(now, std::time(nullptr) + 2);
        for (const char* source : {"head -c 32 /dev/urandom | xxd -p -c 64", "cat /proc/sys/kernel/random/boot_id", "uuidgen",
                                   "ssh-keygen -q -t ed25519 -N '' -f /key && cat /key.pub", "cat /proc/self/stat | cut -d' ' -f 28"}) {
            const Process process = runtime->sh(source);
            EXPECT_EQ(process.code, 0) << source << ": " << process.err;
            EXPECT_GT(process.out.size(), 8U) << source;
            EXPECT_THAT(said, Not(testing::Contains(process.out))) << source;
            said.push_back(process.out);
        }
        EXPECT_EQ(runtime->shutdown(), 0);
    }
}

TEST_F(Template, StaysAsItIsWhenAGuestGivesMemoryBack) {
    constexpr uint64_t kMiB = 1 << 20;
    warm();
    deploy(options());
    const std::string before = hash_of(templates().at(0));
    auto runtime = start_expecting(true);
    const pid_t qemu = runtime->qemu_pid();
    const uint64_t at_first = memory_of(qemu);
    EXPECT_EQ(runtime->sh("dd if=/dev/zero of=/dev/shm/file bs=1M count=48").code, 0);
    const uint64_t at_most = memory_of(qemu);
    EXPECT_GT(at_most, at_first + 40 * kMiB);
    EXPECT_EQ(runtime->sh("rm /dev/shm/file").code, 0);
    runtime->until([&] { return memory_of(qemu) < at_most - 40 * kMiB; });
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_EQ(hash_of(templates().at(0)), before);
}

TEST_F(Template, IsReplacedWhereItIsDamaged) {
    warm();
    deploy(options());
    const fs::path file = templates().at(0);
    damage(file, fs::file_size(file) / 2);
    auto runtime = start_expecting(false);
    EXPECT_THAT(log(), HasSubstr("booting: the VM could not be started from a template: the template is damaged"));
    runtime->until([&] { return !templates().empty(); });
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_EQ(start_expecting(true)->shutdown(), 0);

    fs::resize_file(file, fs::file_size(file) - 1);
    expect_boot("booting: template unusable: the template is truncated");
}

// Complete, but QEMU cannot use it, like a template of a VM with other devices.
TEST_F(Template, IsReplacedWhereQemuRefusesIt) {
    warm();
    deploy(options());
    const fs::path file = templates().at(0);
    const std::string key = file.stem();
    vm::SavedVm saved;
    {
        const vm::TemplateFile whole(base::open_file(file, O_RDONLY), key);
        saved.memory.reset(::memfd_create("memory", MFD_CLOEXEC));
        ASSERT_EQ(::ftruncate(saved.memory.get(), 128 << 20), 0);
        whole.fill(saved.memory.get());
        saved.devices = whole.devices();
    }
    ASSERT_EQ(::ftruncate(saved.devices.get(), 20000), 0);
    const base::UniqueFd spoilt = base::open_file(file, O_RDWR | O_TRUNC);
    boost::asio::io_context io;
    auto written = boost::asio::co_spawn(io, vm::TemplateFile::write(spoilt.get(), key, saved), boost::asio::use_future);
    io.run();
    written.get();
    auto runtime = start_expecting(false);
    EXPECT_THAT(log(), HasSubstr("booting: the VM could not be started from a template: the VM died: QEMU: "));
    EXPECT_EQ(runtime->sh("echo up").out, "up\n");
    runtime->until([&] { return !templates().empty(); });
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_EQ(start_expecting(true)->shutdown(), 0);
}

TEST_F(Template, IsNotTrustedWhereOthersCouldHaveWrittenIt) {
    warm();
    deploy(options());
    ASSERT_EQ(::chmod(templates().at(0).c_str(), 0666), 0);
    expect_boot("is not used: it is not a file of ours alone");
    ASSERT_EQ(::chmod(store().c_str(), 0777), 0);
    expect_boot("belongs to another user, or others may write to it");
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give files to another user";
    ASSERT_EQ(::chmod(store().c_str(), 0700), 0);
    ASSERT_EQ(::chown(store().c_str(), 12345, 12345), 0);
    expect_boot("belongs to another user, or others may write to it");
}

TEST_F(Template, TimingsTellWhereTheTimeGoes) {
    warm();
    deploy(options());
    const auto steps = [&](Runtime& runtime) {
        EXPECT_EQ(runtime.sh("true").code, 0);
        EXPECT_EQ(runtime.shutdown(), 0);
        const std::string text = log();
        const size_t at = text.rfind("timings: ");
        if (at == std::string::npos) return std::vector<std::string>{"no timings"};
        const size_t begin = at + sizeof "timings: " - 1;
        const nlohmann::json timings = nlohmann::json::parse(text.substr(begin, text.find('\n', begin) - begin));
        EXPECT_GT(timings["began"].get<double>(), 0);
        EXPECT_FALSE(timings["guest"].empty());
        std::vector<std::string> names;
        for (const auto& step : timings["steps"])
            names.push_back(step["what"]);
        return names;
    };
    EXPECT_THAT(steps(*start_expecting(true, {"--timings"})),
                ElementsAre("command line read", "template found", "QEMU spawned", "memory copied", "QEMU answers", "devices restored",
                            "set up", "first command ended"));
    EXPECT_THAT(steps(*start_expecting(false, {"--timings", "--template", "off"})),
                ElementsAre("command line read", "QEMU spawned", "QEMU answers", "agent ready", "set up", "first command ended"));
    const size_t size = log().size();
    EXPECT_EQ(start_expecting(true)->shutdown(), 0);
    EXPECT_EQ(log().find("timings", size), std::string::npos);
}

}  // namespace
}  // namespace system_test
