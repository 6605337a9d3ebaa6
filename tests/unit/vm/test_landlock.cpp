#include "vm/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/subprocess.h"
#include "child_attempt.h"

namespace {

namespace fs = std::filesystem;

// In the child.
bool enter(const vm::Landlock& landlock) {
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && landlock.enter();
}

long landlock_version() {
    return ::syscall(444, nullptr, 0, 1);
}

class Landlock : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "landlock-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        for (const char* sub : {"open", "closed", "shared", "shared/a", "shared/b"})
            fs::create_directory(folder_ / sub);
        for (const char* file : {"open/file", "closed/file", "shared/a/file"})
            base::write_all(base::open_file(folder_ / file, O_WRONLY | O_CREAT).get(), "text\n", file);
        fs::create_symlink(folder_ / "closed/file", folder_ / "open/link");
        if (landlock_version() < 2) GTEST_SKIP() << "this kernel has no Landlock";
    }

    void TearDown() override { fs::remove_all(folder_); }

    vm::Allowed allowed() const {
        return {.execute = {"/bin/sh", "/bin/cat", "/bin/mv", "/bin/rm", "/bin/mkdir", "/bin/ln", "/usr/bin/mkfifo",
                            "/lib64/ld-linux-x86-64.so.2"},
                .read = {"/lib", "/usr/lib", "/etc/ld.so.cache", folder_ / "open", folder_ / "no-such-folder"},
                .read_write = {folder_ / "shared"},
                .devices = {"/dev/null"}};
    }

    // The exit code of a shell command under the rules.
    int run(const std::string& command, std::vector<std::pair<int, int>> fds = {}) const {
        const vm::Landlock landlock(allowed());
        base::Command child{.argv = {"/bin/sh", "-c", "cd /; " + command}, .environment = {"PATH=/bin"}, .fds = std::move(fds)};
        child.before_exec = [&landlock] { return enter(landlock); };
        return base::exit_code(base::spawn(child).wait());
    }

    fs::path folder_;
};

TEST_F(Landlock, OpensWhatIsAllowedAlone) {
    const std::string folder = folder_;
    EXPECT_EQ(run("cat " + folder + "/open/file"), 0);
    EXPECT_EQ(run("cat " + folder + "/closed/file"), 1);
    EXPECT_EQ(run("cat " + folder + "/open/link"), 1);
    EXPECT_EQ(run("cat /etc/passwd"), 1);
    EXPECT_EQ(run("cat /proc/self/status"), 1);  // not even its own
    EXPECT_NE(run("echo x > " + folder + "/open/file"), 0);
    EXPECT_NE(run("echo x > " + folder + "/closed/new"), 0);
    EXPECT_NE(run("/usr/bin/id"), 0);
}

TEST_F(Landlock, AllowsFilesAndFoldersInTheShare) {
    const std::string shared = folder_ / "shared";
    EXPECT_EQ(run("echo x > " + shared + "/new && cat " + shared + "/new && : > " + shared + "/new"), 0);
    EXPECT_EQ(run("mv " + shared + "/a/file " + shared + "/b/file && rm " + shared + "/b/file"), 0);
    EXPECT_NE(run("mv " + shared + "/new " + folder_.string() + "/open/new"), 0);
    EXPECT_EQ(run("mkdir " + shared + "/folder && ln " + shared + "/new " + shared + "/folder/link"), 0);
    // What would lead another process out of the folder, or hold it up.
    EXPECT_NE(run("ln -s / " + shared + "/symlink"), 0);
    EXPECT_NE(run("mkfifo " + shared + "/fifo"), 0);
}

TEST_F(Landlock, LeavesPassedDescriptorsAlone) {
    const base::UniqueFd fd = base::open_file(folder_ / "closed/file", O_RDONLY);
    EXPECT_EQ(run("cat <&5", {{fd.get(), 5}}), 0);
}

TEST_F(Landlock, KeepsSignalsInside) {
    if (landlock_version() < 6) GTEST_SKIP() << "this kernel's Landlock knows no scopes";
    EXPECT_NE(run("kill -0 " + std::to_string(::getpid())), 0);
    EXPECT_EQ(run("kill -0 $$"), 0);
}

// 0 or an errno.
int attempt(const vm::Allowed& allowed, int (*call)(int), int argument) {
    const vm::Landlock landlock(allowed);
    return vm_test::attempt_confined([&] { return enter(landlock); }, [&] { return (errno = call(argument)) == 0 ? 0L : -1L; });
}

base::UniqueFd tcp_listener(sockaddr_in& address) {
    base::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) < 0 || ::listen(listener.get(), 1) < 0 ||
        ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0)
        base::throw_errno("cannot listen");
    return listener;
}

int tcp_connect(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = static_cast<in_port_t>(port);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ? errno : 0;
}

// An abstract name that no other run of this test has; in a child it is still its parent's.
socklen_t abstract_name(sockaddr_un& address) {
    static const std::string name = "gvmkit-test-" + std::to_string(::getpid());
    address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

int abstract_connect(int) {
    sockaddr_un address{};
    const socklen_t length = abstract_name(address);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return ::connect(fd, reinterpret_cast<sockaddr*>(&address), length) < 0 ? errno : 0;
}

TEST_F(Landlock, ConnectsToNothing) {
    vm::Allowed everything = allowed();
    everything.execute = {"/"};
    sockaddr_in address{};
    const base::UniqueFd listener = tcp_listener(address);
    ASSERT_EQ(tcp_connect(address.sin_port), 0);
    if (landlock_version() >= 4) {
        EXPECT_EQ(attempt(everything, tcp_connect, address.sin_port), EACCES);
    }

    sockaddr_un name{};
    const socklen_t length = abstract_name(name);
    const base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), length), 0);
    ASSERT_EQ(::listen(socket.get(), 4), 0);
    ASSERT_EQ(abstract_connect(0), 0);
    if (landlock_version() >= 6) {
        EXPECT_EQ(attempt(everything, abstract_connect, 0), EPERM);
    }
}

}  // namespace
