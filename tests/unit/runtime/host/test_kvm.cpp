#include "runtime/host/kvm.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>

#include "base/error.h"
#include "base/fd.h"

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using runtime::KvmVerdict;
using testing::HasSubstr;

class Accelerator : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "accelerator-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        fs::permissions(folder_, fs::perms::all);
    }
    void TearDown() override { fs::remove_all(folder_); }

    // What another user is told of a device of this owner and mode.
    std::string told_to_nobody(const fs::path& device, gid_t group, mode_t mode) {
        EXPECT_EQ(::chown(device.c_str(), 0, group), 0);
        EXPECT_EQ(::chmod(device.c_str(), mode), 0);
        const fs::path answer = folder_ / "answer";
        const pid_t pid = ::fork();
        if (pid == 0) {
            const bool dropped = ::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0;
            std::ofstream(answer) << (dropped ? runtime::kvm_obstacle(device) : "cannot become nobody");
            ::_exit(0);
        }
        EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
        std::ifstream stream(answer);
        std::string text;
        std::getline(stream, text);
        fs::remove(answer);
        return text;
    }

    KvmVerdict judge(const fs::path& device, runtime::BootTest boot, bool try_again = false) {
        asio::io_context io;
        KvmVerdict result;
        std::exception_ptr error;
        asio::co_spawn(io, runtime::judge_kvm(device, "/bin/true", folder_ / "cache", std::move(boot), try_again),
                       [&](std::exception_ptr e, KvmVerdict verdict) {
                           error = std::move(e);
                           result = std::move(verdict);
                       });
        io.run();
        if (error) std::rethrow_exception(error);
        return result;
    }

    fs::path folder_;
};

TEST_F(Accelerator, SaysWhatKeepsAUserFromKvm) {
    EXPECT_THAT(runtime::kvm_obstacle(folder_ / "kvm"), testing::StartsWith((folder_ / "kvm").string() + " is missing: "));
    std::ofstream(folder_ / "kvm") << "";
    EXPECT_EQ(runtime::kvm_obstacle(folder_ / "kvm"), (folder_ / "kvm").string() + " is not the kernel's KVM");
}

TEST_F(Accelerator, NamesTheGroupAndTheCommand) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    const fs::path device = folder_ / "kvm";
    std::ofstream(device) << "";
    EXPECT_EQ(told_to_nobody(device, 50, 0660),
              device.string() +
                  " is not accessible to user nobody: it belongs to group staff; run \"sudo usermod -aG staff "
                  "nobody\" and log in again");
    EXPECT_EQ(told_to_nobody(device, 0, 0600), device.string() +
                                                   " is not accessible to user nobody, nor to its group: as root, chgrp kvm " +
                                                   device.string() + " && chmod 660 " + device.string());
}

// Whether KVM can be opened here, whatever its guests do.
bool kvm_opens() {
    return runtime::kvm_obstacle("/dev/kvm").empty();
}

// Boot tests by what they have in common: a count, and how they end.
asio::awaitable<void> boots(int* count) {
    ++*count;
    co_return;
}

asio::awaitable<void> fails(int* count) {
    ++*count;
    throw base::Error("it hangs");
    co_return;
}

asio::awaitable<void> cannot_start(int* count) {
    ++*count;
    throw base::SystemError(ENOMEM, "cannot fork");
    co_return;
}

TEST_F(Accelerator, RemembersTheVerdict) {
    if (!kvm_opens()) GTEST_SKIP() << runtime::kvm_obstacle("/dev/kvm");
    int count = 0;
    EXPECT_TRUE(judge("/dev/kvm", [&count] { return boots(&count); }).works);
    EXPECT_TRUE(judge("/dev/kvm", [&count] { return fails(&count); }).works);
    EXPECT_EQ(count, 1);
    fs::remove_all(folder_ / "cache");
    EXPECT_THAT(judge("/dev/kvm", [&count] { return fails(&count); }).reason, HasSubstr("no guest runs under it"));
    EXPECT_THAT(judge("/dev/kvm", [&count] { return boots(&count); }).reason, HasSubstr("no guest runs under it (it hangs): "));
    EXPECT_EQ(count, 2);
}

TEST_F(Accelerator, TriesAgainWhatDidNotWork) {
    if (!kvm_opens()) GTEST_SKIP() << runtime::kvm_obstacle("/dev/kvm");
    int count = 0;
    EXPECT_FALSE(judge(
                     "/dev/kvm", [&count] { return fails(&count); }, true)
                     .works);
    EXPECT_FALSE(judge(
                     "/dev/kvm", [&count] { return fails(&count); }, true)
                     .works);
    EXPECT_TRUE(judge(
                    "/dev/kvm", [&count] { return boots(&count); }, true)
                    .works);
    EXPECT_TRUE(judge(
                    "/dev/kvm", [&count] { return fails(&count); }, true)
                    .works);
    EXPECT_EQ(count, 3);
    EXPECT_TRUE(judge("/dev/kvm", [&count] { return fails(&count); }).works) << "the newer verdict is kept";
}

TEST_F(Accelerator, ForgetsTheVerdictOfAnotherBootOrQemu) {
    if (!kvm_opens()) GTEST_SKIP() << runtime::kvm_obstacle("/dev/kvm");
    int count = 0;
    fs::create_directory(folder_ / "cache");
    for (const char* text : {R"({"key":"another boot","works":false,"reason":"x"})", "not JSON", R"({"works":1})", "[]"}) {
        std::ofstream(folder_ / "cache/kvm.json") << text;
        EXPECT_TRUE(judge("/dev/kvm", [&count] { return boots(&count); }).works) << text;
    }
    EXPECT_EQ(count, 4);
}

TEST_F(Accelerator, DoesNotBlameKvmForWhatTheHostLacks) {
    if (!kvm_opens()) GTEST_SKIP() << runtime::kvm_obstacle("/dev/kvm");
    int count = 0;
    EXPECT_THROW(judge("/dev/kvm", [&count] { return cannot_start(&count); }), base::SystemError);
    EXPECT_TRUE(judge("/dev/kvm", [&count] { return boots(&count); }).works);
    EXPECT_EQ(count, 2);
}

TEST_F(Accelerator, JudgesWithoutACacheThatCanBeWritten) {
    if (!kvm_opens()) GTEST_SKIP() << runtime::kvm_obstacle("/dev/kvm");
    std::ofstream(folder_ / "cache") << "a file, not a folder";
    int count = 0;
    EXPECT_TRUE(judge("/dev/kvm", [&count] { return boots(&count); }).works);
    EXPECT_TRUE(judge("/dev/kvm", [&count] { return boots(&count); }).works);
    EXPECT_EQ(count, 2);
}

}  // namespace
