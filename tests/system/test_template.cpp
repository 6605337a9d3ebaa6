// Templates: VMs that resume from another's state, and all that can be wrong with a saved state.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "fixture.h"
#include "vm/template_file.h"

namespace system_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class Template : public SystemTest {
protected:
    fs::path cache() const { return workdir / "cache"; }
    fs::path store() const { return cache() / "templates"; }
    std::vector<std::string> options(std::vector<std::string> more = {}) const {
        more.insert(more.begin(), {"--cache-dir", cache(), "--mem-gib", "0.125"});
        return more;
    }

    void warm() {
        std::vector<std::string> argv{program("ya-runtime-vm"), "--accel", "tcg"};
        const std::vector<std::string> shape = options({"template", "warm"});
        argv.insert(argv.end(), shape.begin(), shape.end());
        const Output output = run_program(argv);
        ASSERT_EQ(output.code, 0) << output.err;
        EXPECT_THAT(output.err, HasSubstr("the template has been made"));
        ASSERT_THAT(templates(), SizeIs(1));
    }

    std::vector<fs::path> templates() const {
        std::error_code ignored;
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(store(), ignored))
            found.push_back(entry.path());
        return found;
    }

    std::string log() const { return text_of(workdir / "logs/ya-runtime-vm.log"); }

    static bool is_restored(pid_t qemu) {
        return text_of("/proc/" + std::to_string(qemu) + "/cmdline").find("-incoming") != std::string::npos;
    }

    // Starts a VM that must have come from a template, or not.
    std::unique_ptr<Runtime> start_expecting(bool restored, const std::vector<std::string>& more = {}) {
        auto runtime = start(options(more));
        EXPECT_EQ(is_restored(runtime->qemu_pid()), restored);
        return runtime;
    }

    // Starts a VM that must boot, with this in its log, and yet works.
    void expect_boot(const std::string& logged) {
        auto runtime = start_expecting(false);
        EXPECT_EQ(runtime->sh("echo up").out, "up\n");
        EXPECT_THAT(log(), HasSubstr(logged));
        EXPECT_EQ(runtime->shutdown(), 0);
    }
};

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

TEST_F(Template, GivesEachVmItsOwnSecretsNameAndTime) {
    warm();
    task_package = image("ssh");
    std::vector<std::string> said;
    for (const char* name : {"one", "two"}) {
        const std::vector<std::string> own = options({"--hostname", name});
        deploy(own);
        auto runtime = start_expecting(true, {"--hostname", name});
        EXPECT_EQ(runtime->sh("hostname").out, std::string(name) + "\n");
        const std::time_t now = std::time(nullptr);
        EXPECT_NEAR(std::stod(runtime->sh("date +%s").out), static_cast<double>(now), 2);
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
