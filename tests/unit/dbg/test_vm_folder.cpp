#include "dbg/vm_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/temporary_folder.h"

namespace dbg {
namespace {
namespace fs = std::filesystem;

std::vector<std::string> names(const fs::path& vms) {
    std::vector<std::string> names;
    for (const Vm& vm : running_vms(vms))
        names.push_back(vm.name);
    return names;
}

using Names = std::vector<std::string>;

TEST(VmFolder, IsFoundByItsNameWhileItLives) {
    const base::TemporaryFolder vms;
    Vm found;
    {
        const VmFolder folder(vms.path(), {.name = "web", .image = "a/b.gvmi", .workdir = "/work"});
        const Vm vm = find_vm(vms.path(), "web");
        EXPECT_TRUE(still_runs(vms.path(), vm));
        found = vm;
        EXPECT_EQ(vm.image, "a/b.gvmi");
        EXPECT_EQ(vm.debugger, ::getpid());
        EXPECT_EQ(vm.workdir, "/work");
        EXPECT_NEAR(static_cast<double>(vm.started), static_cast<double>(std::time(nullptr)), 60);
        EXPECT_EQ(vm.socket(), vms.path() / "web/socket");
        EXPECT_THROW(find_vm(vms.path(), "other"), base::Error);
    }
    EXPECT_EQ(names(vms.path()), Names{});
    EXPECT_FALSE(fs::exists(vms.path() / "web"));
    EXPECT_FALSE(still_runs(vms.path(), found));
}

TEST(VmFolder, ATakenNameIsRefusedAndMadeUpOnesCount) {
    const base::TemporaryFolder vms;
    const VmFolder first(vms.path(), {.image = "images/python.gvmi"});
    const VmFolder second(vms.path(), {.image = "images/python.gvmi"});
    EXPECT_EQ(names(vms.path()), (Names{"python", "python-2"}));
    EXPECT_THROW(VmFolder(vms.path(), {.name = "python"}), base::Error);
    EXPECT_THROW(VmFolder(vms.path(), {.name = "../x"}), base::Error);
    EXPECT_EQ(names(vms.path()), (Names{"python", "python-2"}));
}

TEST(VmFolder, NamesComeFromImages) {
    EXPECT_EQ(vm_name_for("docker.io/library/Python:3.12-slim"), "python");
    EXPECT_EQ(vm_name_for("localhost:5000/a/b@sha256:00"), "b");
    EXPECT_EQ(vm_name_for("/tmp/My App/"), "my-app");
    EXPECT_EQ(vm_name_for("./hello.gvmi"), "hello");
    EXPECT_EQ(vm_name_for("..."), "vm");
    EXPECT_EQ(vm_name_for(""), "vm");
    EXPECT_EQ(vm_name_for(std::string(100, 'a')), std::string(63, 'a'));
    EXPECT_FALSE(is_vm_name(""));
    EXPECT_FALSE(is_vm_name("-a"));
    EXPECT_FALSE(is_vm_name("A"));
    EXPECT_FALSE(is_vm_name("a/b"));
    EXPECT_FALSE(is_vm_name(std::string(64, 'a')));
    EXPECT_TRUE(is_vm_name("0a_.-"));
}

// A process that holds a VM's folder, and its temporary workdir, until it is killed; returns once both exist.
pid_t start_debugger(const fs::path& vms, const fs::path& work) {
    auto [read_end, write_end] = base::make_pipe();
    const pid_t pid = ::fork();
    if (pid == 0) {
        const base::TemporaryFolder workdir(work, "ya-runtime-dbg-");
        const VmFolder folder(vms, {.name = "killed", .workdir = workdir.path(), .temporary_workdir = true});
        std::ofstream(workdir.path() / "disk") << "content";
        std::ofstream(folder.vm().socket()) << "";
        base::write_all(write_end.get(), "x", "pipe");
        for (;;)
            (void)::pause();
    }
    write_end.reset();
    std::byte byte{};
    EXPECT_EQ(base::read_full(read_end.get(), {&byte, 1}, "pipe"), 1U);
    return pid;
}

TEST(VmFolder, AKilledDebuggerLeavesNothing) {
    const base::TemporaryFolder vms;
    const base::TemporaryFolder work;
    const base::TemporaryFolder asked_for;
    const VmFolder living(vms.path(), {.name = "living", .workdir = asked_for.path()});
    const pid_t pid = start_debugger(vms.path(), work.path());
    EXPECT_EQ(names(vms.path()), (Names{"killed", "living"}));
    EXPECT_FALSE(fs::is_empty(work.path()));
    (void)::kill(pid, SIGKILL);
    (void)::waitpid(pid, nullptr, 0);
    EXPECT_EQ(names(vms.path()), Names{"living"});
    EXPECT_FALSE(fs::exists(vms.path() / "killed"));
    EXPECT_TRUE(fs::is_empty(work.path()));
    EXPECT_TRUE(fs::is_directory(asked_for.path()));
}

TEST(VmFolder, AWorkdirThatWasAskedForOrIsInUseStays) {
    const base::TemporaryFolder vms;
    const base::TemporaryFolder asked_for;
    const base::TemporaryFolder in_use;  // its lock is held
    const auto leave = [&vms](const char* name, const fs::path& workdir, bool temporary) {
        fs::create_directory(vms.path() / name);
        std::ofstream(vms.path() / name / "vm.json") << R"({"image":"","started":1,"debugger":1,"workdir":")" << workdir.string()
                                                     << R"(","temporary_workdir":)" << (temporary ? "true" : "false") << "}";
    };
    leave("a", asked_for.path(), false);
    leave("b", in_use.path(), true);
    fs::create_directory(vms.path() / "without-record");
    EXPECT_EQ(names(vms.path()), Names{});
    EXPECT_TRUE(fs::is_directory(asked_for.path()));
    EXPECT_TRUE(fs::is_directory(in_use.path()));
    EXPECT_FALSE(fs::exists(vms.path() / "a"));
    EXPECT_FALSE(fs::exists(vms.path() / "without-record"));
}

TEST(VmFolder, StartsAndSweepsMayRace) {
    const base::TemporaryFolder vms;
    std::vector<std::jthread> threads;
    threads.reserve(8);
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&vms] {
            for (int round = 0; round < 20; round++) {
                const VmFolder folder(vms.path(), {.image = "x.gvmi"});
                EXPECT_EQ(find_vm(vms.path(), folder.vm().name).folder, folder.vm().folder);
            }
        });
    }
    threads.clear();
    EXPECT_EQ(names(vms.path()), Names{});
}

class VmsFolder : public testing::Test {
protected:
    void SetUp() override { set(folder_.path()); }
    void TearDown() override { before_ ? set(*before_) : static_cast<void>(::unsetenv("XDG_RUNTIME_DIR")); }
    static void set(const fs::path& path) { (void)::setenv("XDG_RUNTIME_DIR", path.c_str(), 1); }
    static std::optional<std::string> from_environment() {
        const char* value = std::getenv("XDG_RUNTIME_DIR");
        return value ? std::optional<std::string>(value) : std::nullopt;
    }

    base::TemporaryFolder folder_{"/tmp", "vms-"};
    std::optional<std::string> before_ = from_environment();
};

TEST_F(VmsFolder, IsPrivate) {
    const fs::path vms = vms_folder();
    EXPECT_EQ(vms, folder_.path() / "gvmkit/vms");
    struct stat status {};
    ASSERT_EQ(::stat(vms.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700U);
    EXPECT_EQ(vms_folder(), vms);
}

TEST_F(VmsFolder, IsRefusedWhereOthersMayWrite) {
    fs::create_directories(folder_.path() / "gvmkit");
    fs::permissions(folder_.path() / "gvmkit", fs::perms::all);
    EXPECT_THROW(vms_folder(), base::Error);
    fs::remove(folder_.path() / "gvmkit");
    fs::create_directory(folder_.path() / "elsewhere");
    fs::create_symlink("elsewhere", folder_.path() / "gvmkit");
    EXPECT_THROW(vms_folder(), base::Error);
    fs::remove(folder_.path() / "gvmkit");
    std::ofstream(folder_.path() / "gvmkit") << "";
    EXPECT_THROW(vms_folder(), base::Error);
}

TEST_F(VmsFolder, IsRefusedWhereItIsSomebodyElses) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a folder away";
    fs::create_directories(folder_.path() / "gvmkit");
    fs::permissions(folder_.path() / "gvmkit", fs::perms::owner_all);
    ASSERT_EQ(::chown((folder_.path() / "gvmkit").c_str(), 12345, 12345), 0);
    EXPECT_THROW(vms_folder(), base::Error);
}

TEST_F(VmsFolder, FallsBackToTmpWhereSocketsWouldNotFit) {
    const fs::path fallback = "/tmp/gvmkit-" + std::to_string(::geteuid()) + "/vms";
    const fs::path longer = folder_.path() / "a-folder-with-a-long-name";
    fs::create_directory(longer);
    set(longer);
    EXPECT_EQ(vms_folder(), fallback);
    set("relative");
    EXPECT_EQ(vms_folder(), fallback);
    set(folder_.path() / "missing");
    EXPECT_EQ(vms_folder(), fallback);
}

}  // namespace
}  // namespace dbg
