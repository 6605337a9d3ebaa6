// With real cgroups of version 2 and root's rights alone; where a machine lacks them, system.confinement runs this program in a VM.
#include "vm/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kMount = "/sys/fs/cgroup";
constexpr uint64_t kLimit = 64 << 20;
constexpr vm::Cgroup::Limits kLimits{.memory_bytes = kLimit, .tasks = 8};
constexpr uid_t kUser = 1000;

std::string text_of(const fs::path& file) {
    return base::read_file(file, 1 << 16);
}

void write(const fs::path& file, const std::string& text) {
    base::write_all(base::open_file(file, O_WRONLY).get(), text, file);
}

// The wait status of a child that does this.
int in_child(const std::function<int()>& work) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        try {
            ::_exit(work());
        } catch (const std::exception& e) {
            (void)std::fprintf(stderr, "%s\n", e.what());
            ::_exit(99);
        }
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return status;
}

int touch_memory(size_t bytes) {
    auto* memory = static_cast<char*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) return 1;
    for (size_t i = 0; i < bytes; i += 4096)
        memory[i] = 1;
    return 0;
}

class CgroupTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "only root can delegate a cgroup";
        std::error_code error;
        if (!fs::exists(fs::path(kMount) / "cgroup.controllers", error) || fs::exists(fs::path(kMount) / "cgroup.type", error))
            GTEST_SKIP() << "the top of the cgroups of version 2 is not here";
        try {
            write(fs::path(kMount) / "cgroup.subtree_control", "+memory +pids");
        } catch (const base::Error& e) {
            GTEST_SKIP() << e.what();
        }
        outer_ = fs::path(kMount) / ("test-" + std::to_string(::getpid()));
        fs::create_directory(outer_);
        fs::create_directory(outer_ / "own");
        write(outer_ / "cgroup.subtree_control", "+memory +pids");
    }
    void TearDown() override {
        if (outer_.empty()) return;
        EXPECT_TRUE(fs::remove(outer_ / "own"));
        EXPECT_EQ(::rmdir(outer_.c_str()), 0);  // nothing else is left in it
    }

    void delegate() const {
        for (const char* name : {"", "cgroup.procs", "cgroup.subtree_control"})
            EXPECT_EQ(::chown((outer_ / name).c_str(), kUser, kUser), 0);
    }
    // Does this as an ordinary user in the group "own".
    int as_user(const std::function<int()>& work) const {
        return in_child([&] {
            write(outer_ / "own/cgroup.procs", "0");
            if (::setgid(kUser) < 0 || ::setuid(kUser) < 0) return 98;
            return work();
        });
    }

    fs::path outer_;
};

TEST_F(CgroupTest, OfAnOrdinaryUserToWhomTheParentWasDelegated) {
    delegate();
    EXPECT_EQ(as_user([&] {
                  const vm::Cgroup group(kLimits);
                  EXPECT_EQ(group.path().parent_path(), outer_);
                  EXPECT_EQ(text_of(group.path() / "memory.max"), std::to_string(kLimit) + "\n");
                  EXPECT_EQ(text_of(group.path() / "pids.max"), "8\n");
                  const int status = in_child([&] {
                      group.enter();
                      EXPECT_THAT(text_of("/proc/self/cgroup"), HasSubstr("0::/" + outer_.filename().string() + "/ya-runtime-vm-"));
                      return testing::Test::HasFailure() ? 1 : 0;
                  });
                  EXPECT_EQ(status, 0);
                  return testing::Test::HasFailure() ? 1 : 0;
              }),
              0);
}

TEST_F(CgroupTest, LimitsMemory) {
    delegate();
    EXPECT_EQ(as_user([] {
                  const vm::Cgroup group(kLimits);
                  const auto touch = [&group](size_t bytes) {
                      return in_child([&] {
                          group.enter();
                          return touch_memory(bytes);
                      });
                  };
                  if (touch(kLimit / 2) != 0) return 1;
                  const int status = touch(kLimit * 2);
                  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 2;
              }),
              0);
}

TEST_F(CgroupTest, NoneWhereTheParentWasNotDelegated) {
    EXPECT_EQ(as_user([] {
                  EXPECT_EQ(vm::cgroup_obstacle(), "the cgroup above this process was not delegated to this user");
                  return vm::Cgroup(kLimits).path().empty() && !testing::Test::HasFailure() ? 0 : 1;
              }),
              0);
}

TEST_F(CgroupTest, NoneThatWouldLiftALimit) {
    delegate();
    write(outer_ / "own/memory.max", "100000000");
    EXPECT_EQ(as_user([] { return vm::Cgroup(kLimits).path().empty() ? 0 : 1; }), 0);
}

TEST_F(CgroupTest, RemovesWhatKilledOnesHaveLeft) {
    delegate();
    pid_t dead = 0;
    (void)as_user([&] {
        vm::Cgroup group(kLimits);
        (void)::raise(SIGKILL);
        return 0;
    });
    for (const auto& entry : fs::directory_iterator(outer_)) {
        const std::string name = entry.path().filename();
        if (name.starts_with("ya-runtime-vm-")) dead = std::stoi(name.substr(14));
    }
    ASSERT_NE(dead, 0);
    const fs::path of_a_living_one = outer_ / ("ya-runtime-vm-" + std::to_string(::getpid()) + "-7");
    fs::create_directory(of_a_living_one);
    EXPECT_EQ(as_user([] { return vm::Cgroup(kLimits).path().empty() ? 1 : 0; }), 0);
    EXPECT_FALSE(fs::exists(outer_ / ("ya-runtime-vm-" + std::to_string(dead) + "-0")));
    EXPECT_EQ(::rmdir(of_a_living_one.c_str()), 0);
}

TEST_F(CgroupTest, BelowTheTopForRoot) {
    if (text_of("/proc/self/cgroup").find("0::/\n") == std::string::npos) GTEST_SKIP() << "this process is not at the top";
    fs::path path;
    {
        const vm::Cgroup group(kLimits);
        path = group.path();
        EXPECT_EQ(path.parent_path(), kMount);
        EXPECT_THAT(path.filename().string(), StartsWith("ya-runtime-vm-"));
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST(CgroupElsewhere, NoneWithoutVersion2) {
    EXPECT_EQ(vm::cgroup_obstacle(fs::temp_directory_path()), "cgroups are not of version 2 here");
    const vm::Cgroup group(kLimits, fs::temp_directory_path());
    EXPECT_TRUE(group.path().empty());
    group.enter();
}

TEST(OwnCgroups, OfBothVersions) {
    const auto own = vm::parse_own_cgroups("4:memory:/user.slice/a:b\n3:cpu,cpuacct:/\n0::/init.scope\n");
    ASSERT_EQ(own.size(), 3U);
    EXPECT_EQ(own[0].controllers, "memory");
    EXPECT_EQ(own[0].path, "/user.slice/a:b");
    EXPECT_EQ(own[1].controllers, "cpu,cpuacct");
    EXPECT_EQ(own[2].controllers, "");
    EXPECT_EQ(own[2].path, "/init.scope");
}

TEST(OwnCgroups, LeavesOutOtherLines) {
    EXPECT_TRUE(vm::parse_own_cgroups("").empty());
    EXPECT_TRUE(vm::parse_own_cgroups("nothing\n0:\n0::\n0::relative\n").empty());
}

}  // namespace
