#include "vm/namespaces.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "base/fd.h"
#include "child_attempt.h"

namespace {

namespace fs = std::filesystem;

class Namespaces : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "namespaces-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        for (const char* sub : {"open", "closed", "share"})
            fs::create_directory(folder_ / sub);
        for (const char* file : {"open/file", "closed/file", "share/file", "single"})
            base::write_all(base::open_file(folder_ / file, O_WRONLY | O_CREAT).get(), "text\n", file);
        if (attempt([] { return 0L; }) != 0) GTEST_SKIP() << "this host lets us make no namespaces";
    }
    void TearDown() override { fs::remove_all(folder_); }

    vm::Allowed allowed() const {
        return {
            .execute = {"/bin/sh", "/bin/cat", "/usr/bin/env", "/bin/kill", "/bin/ls"},
            .read = {"/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache", folder_ / "open", folder_ / "single", folder_ / "no-such-folder"},
            .read_write = {folder_ / "share"},
            .devices = {"/dev/null"}};
    }

    int attempt(const std::function<long()>& call) const {
        const vm::Namespaces namespaces(allowed());
        return vm_test::attempt_confined([&] { return namespaces.enter(); }, call, namespaces.start());
    }

    // The wait status of a shell command in them, and its output.
    std::pair<int, std::string> run(const std::string& command) const {
        const vm::Namespaces namespaces(allowed());
        auto [out, in] = base::make_pipe();
        base::Command child{.argv = {"/bin/sh", "-c", command}, .environment = {"PATH=/bin:/usr/bin"}, .fds = {{in.get(), 1}}};
        child.namespaces = namespaces.start();
        child.before_exec = [&] { return namespaces.enter(); };
        base::Child process = base::spawn(child);
        in.reset();
        std::string output(4096, '\0');
        output.resize(base::read_full(out.get(), std::as_writable_bytes(std::span(output)), "a pipe"));
        return {process.wait(), output};
    }

    fs::path folder_;
};

TEST_F(Namespaces, HoldWhatIsAllowedAlone) {
    const std::string open = folder_ / "open/file";
    const std::string closed = folder_ / "closed/file";
    const std::string single = folder_ / "single";
    EXPECT_EQ(attempt([&] { return ::open(open.c_str(), O_RDONLY); }), 0);
    EXPECT_EQ(attempt([&] { return ::open(single.c_str(), O_RDONLY); }), 0);
    EXPECT_EQ(attempt([] { return ::open("/dev/null", O_RDWR); }), 0);
    EXPECT_EQ(attempt([&] { return ::open(closed.c_str(), O_RDONLY); }), ENOENT);
    EXPECT_EQ(attempt([] { return ::open("/etc/passwd", O_RDONLY); }), ENOENT);
    EXPECT_EQ(attempt([] { return ::open("/dev/zero", O_RDONLY); }), ENOENT);
    EXPECT_EQ(run("cat " + open), (std::pair<int, std::string>(0, "text\n")));
}

TEST_F(Namespaces, AreReadOnlyButForTheShare) {
    const std::string open = folder_ / "open/file";
    const std::string share = folder_ / "share/file";
    EXPECT_EQ(attempt([&] { return ::chmod(open.c_str(), 0600); }), EROFS);
    EXPECT_EQ(attempt([&] { return ::setxattr(open.c_str(), "user.x", "y", 1, 0); }), EROFS);
    EXPECT_EQ(attempt([&] { return ::utimensat(AT_FDCWD, open.c_str(), nullptr, 0); }), EROFS);
    EXPECT_EQ(attempt([] { return ::mkdir("/new", 0700); }), EROFS);
    EXPECT_EQ(attempt([] { return ::chmod("/dev", 0700); }), EROFS);
    EXPECT_EQ(attempt([&] { return ::chmod(share.c_str(), 0640); }), 0);
    struct stat status {};
    ASSERT_EQ(::stat(share.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640U);
    EXPECT_EQ(status.st_uid, ::getuid());
}

TEST_F(Namespaces, FilesKeepTheirOwners) {
    const std::string share = folder_ / "share/new";
    EXPECT_EQ(attempt([&] { return ::open(share.c_str(), O_WRONLY | O_CREAT, 0600); }), 0);
    struct stat status {};
    ASSERT_EQ(::stat(share.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, ::geteuid());
    EXPECT_EQ(status.st_gid, ::getegid());
    if (::geteuid() != 0) return;
    // Root goes on to write to the files of others.
    ASSERT_EQ(::chown(share.c_str(), 1234, 1234), 0);
    EXPECT_EQ(attempt([&] { return ::open(share.c_str(), O_WRONLY); }), 0);
    EXPECT_EQ(run("ls -ln " + share).second.find("1234 1234") != std::string::npos, true);
}

TEST_F(Namespaces, HaveNoOtherProcessesAndNoNetwork) {
    EXPECT_EQ(run("cat /proc/sys/kernel/ns_last_pid > /dev/null; echo $$").second, "1\n");
    const pid_t ours = ::getpid();
    EXPECT_EQ(attempt([ours] { return ::kill(ours, 0); }), ESRCH);
    EXPECT_EQ(run("cat /proc/self/net/dev").second.find("eth"), std::string::npos);
    EXPECT_EQ(attempt([] {
                  sockaddr_un address{};
                  address.sun_family = AF_UNIX;
                  std::memcpy(address.sun_path, "/run/service", 12);
                  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
                  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
              }),
              ENOENT);
}

TEST_F(Namespaces, EndWithUs) {
    const vm::Namespaces namespaces(allowed());
    base::Command child{.argv = {"/bin/sh", "-c", "trap '' TERM HUP INT; while :; do :; done"}, .environment = {}, .fds = {}};
    child.namespaces = namespaces.start();
    child.before_exec = [&] { return namespaces.enter(); };
    base::Child process = base::spawn(child);
    EXPECT_EQ(::getpgid(process.pid()), ::getpgrp()) << "the supervisor bills by process group";
    process.kill(SIGKILL);
    EXPECT_EQ(base::exit_code(process.wait()), 128 + SIGKILL);
}

}  // namespace
