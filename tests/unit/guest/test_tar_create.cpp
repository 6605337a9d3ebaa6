#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <csignal>
#include <map>

#include "base/subprocess.h"
#include "copy_fixture.h"
#include "oci/tar.h"
#include "tar_builder.h"

namespace copy_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::map<std::string, oci::TarEntry> entries_of(const std::string& tar) {
    std::map<std::string, oci::TarEntry> entries;
    oci::TarReader reader(test::stream_of(tar));
    oci::TarEntry entry;
    while (reader.next(entry))
        entries[entry.path] = entry;
    return entries;
}

std::vector<std::string> names_of(const std::string& tar) {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_of(tar))
        names.push_back(name);
    return names;
}

TEST_F(Copy, TheTarHasTheNameOfThePath) {
    fs::create_directories(work_ / "a/b");
    std::ofstream(work_ / "a/b/file") << "text";
    fs::create_symlink("a/b", work_ / "link");
    EXPECT_THAT(names_of(create(work_ / "a/b")), ElementsAre("b/", "b/file"));
    EXPECT_THAT(names_of(create(work_ / "a/b/")), ElementsAre("b/", "b/file"));
    EXPECT_THAT(names_of(create(work_ / "a/b/.")), ElementsAre("./", "./file"));
    EXPECT_THAT(names_of(create(work_ / "a/b/..")), ElementsAre("./", "./b/", "./b/file"));
    EXPECT_THAT(names_of(create(work_ / "link")), ElementsAre("link")) << "the link itself";
    EXPECT_THAT(names_of(create(work_ / "link/")), ElementsAre("link/", "link/file")) << "where it leads";
    EXPECT_THAT(names_of(create(work_ / "link/file")), ElementsAre("file"));
}

TEST_F(Copy, WhatCannotBeCopiedGivesNoTar) {
    const auto error = [&](const std::string& path) {
        std::string result = create(path);
        EXPECT_EQ(content_of(work_ / "out.tar"), "");
        return result;
    };
    EXPECT_EQ(error(work_ / "none"), "error: " + (work_ / "none").string() + ": No such file or directory");
    EXPECT_EQ(error(work_ / "none/file"), "error: " + (work_ / "none/file").string() + ": No such file or directory");
    EXPECT_THAT(error("relative"), StartsWith("error: relative: is not absolute"));
    EXPECT_THAT(error("/proc/version"), HasSubstr("in a file system of the kernel"));
    std::ofstream(work_ / "file") << "text";
    EXPECT_THAT(error(work_ / "file/"), HasSubstr("Not a directory"));
}

// GNU tar unpacks what we have packed, and finds no more in it.
TEST_F(Copy, AnotherTarUnpacksFilesOfEveryKind) {
    const fs::path tree = make_tree();
    fs::create_symlink(std::string(300, 't'), tree / "far");
    fs::create_hard_link(tree / "out", tree / "zz-link");
    ASSERT_EQ(::mkfifo((tree / "fifo").c_str(), 0621), 0);
    fs::permissions(tree / "hard", fs::perms(04755));
    std::ofstream(tree / "sparse") << "start";
    fs::resize_file(tree / "sparse", 3 << 20);
    const timespec times[2] = {{1, 2}, {1234567890, 123456789}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (tree / "hard").c_str(), times, 0), 0);
    const bool attributes = ::setxattr((tree / "sparse").c_str(), "user.key", "a\0b", 3, 0) == 0;
    const std::string tar = create(tree);
    ASSERT_THAT(tar, testing::Not(StartsWith("error")));
    const auto unpacked = base::run({"tar", "--xattrs", "-C", work_ / "to", "-xpf", work_ / "out.tar"});
    EXPECT_EQ(unpacked.code, 0);
    EXPECT_THAT(unpacked.output, testing::Not(HasSubstr("rror")));
    const fs::path copy = work_ / "to/tree";
    const auto compared = base::run({"diff", "-r", "--no-dereference", "--exclude=fifo", tree, copy});
    EXPECT_EQ(compared.code, 0) << compared.output;
    const struct stat st = stat_of(copy / "hard");
    EXPECT_EQ(st.st_mode & 07777, 04755U);
    EXPECT_EQ(st.st_mtim.tv_sec, 1234567890);
    EXPECT_EQ(st.st_mtim.tv_nsec, 123456789);
    EXPECT_EQ(st.st_ino, stat_of(copy / "\xff\xfe").st_ino);
    EXPECT_EQ(stat_of(copy / "out").st_ino, stat_of(copy / "zz-link").st_ino);
    EXPECT_EQ(stat_of(copy / "fifo").st_mode, S_IFIFO | 0621U);
    char value[10];
    if (attributes) {
        EXPECT_EQ(::getxattr((copy / "sparse").c_str(), "user.key", value, sizeof value), 3);
    }
}

TEST_F(Copy, TheSameTreeGivesTheSameTar) {
    fs::create_directories(work_ / "one");
    std::ofstream(work_ / "one/file") << "text";
    const std::string first = create(work_ / "one");
    const auto copied = base::run({"cp", "-a", work_ / "one", work_ / "to/one"});
    ASSERT_EQ(copied.code, 0);
    EXPECT_EQ(first, create(work_ / "to/one")) << "inode numbers are not in it";
}

TEST_F(Copy, ASocketIsLeftOut) {
    fs::create_directories(work_ / "with");
    std::ofstream(work_ / "with/file") << "text";
    const base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_LT((work_ / "with/socket").string().copy(address.sun_path, sizeof address.sun_path), sizeof address.sun_path);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_THAT(names_of(create(work_ / "with")), ElementsAre("with/", "with/file"));
    EXPECT_EQ(messages_, "with/socket: a socket is left out\n");
}

TEST_F(Copy, TooManyFoldersInOneAnotherAreAnError) {
    base::UniqueFd folder(::open(work_.c_str(), O_RDONLY | O_DIRECTORY));
    for (int i = 0; i < 2100; i++) {
        ASSERT_EQ(::mkdirat(folder.get(), "d", 0755), 0);
        folder.reset(::openat(folder.get(), "d", O_RDONLY | O_DIRECTORY));
    }
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    const rlimit more{files.rlim_max, files.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &more), 0);
    EXPECT_THAT(create(work_ / "d"), testing::EndsWith(": there are more than 2048 folders in one another"));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    EXPECT_EQ(base::run({"rm", "-r", work_ / "d"}).code, 0);
}

// Only the start of it is read.
TEST_F(Copy, AFileMayBeBiggerThan8GiB) {
    std::ofstream(work_ / "big") << "text";
    fs::resize_file(work_ / "big", 9ULL << 30);
    auto [read_end, write_end] = base::make_pipe();
    const pid_t child = ::fork();
    if (child == 0) {
        (void)init::create_tar(work_ / "big", write_end.get(), STDERR_FILENO);
        ::_exit(0);
    }
    write_end.reset();
    std::string start(8192, '\0');
    EXPECT_EQ(base::read_full(read_end.get(), std::as_writable_bytes(std::span(start)), "pipe"), start.size());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    oci::TarReader reader(test::stream_of(start));
    oci::TarEntry entry;
    ASSERT_TRUE(reader.next(entry));
    EXPECT_EQ(entry.size, 9ULL << 30);
}

}  // namespace
}  // namespace copy_test
