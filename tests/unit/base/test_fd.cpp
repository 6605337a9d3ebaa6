#include "base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/error.h"

TEST(UniqueFd, ClosesWhatItHolds) {
    int number = -1;
    {
        const base::UniqueFd fd = base::open_file("/dev/null", O_RDONLY);
        number = fd.get();
        EXPECT_GE(::fcntl(number, F_GETFD), 0);
    }
    EXPECT_LT(::fcntl(number, F_GETFD), 0);
}

TEST(UniqueFd, MovingLeavesNothingBehind) {
    base::UniqueFd a = base::open_file("/dev/null", O_RDONLY);
    const int number = a.get();
    base::UniqueFd b = std::move(a);
    EXPECT_EQ(b.get(), number);
    EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): this is what is tested
}

TEST(OpenFile, IsClosedOnExec) {
    const base::UniqueFd fd = base::open_file("/dev/null", O_RDONLY);
    EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
}

TEST(OpenFile, NamesTheFileAndTheReason) {
    try {
        base::open_file("/nonexistent/x", O_RDONLY);
        FAIL();
    } catch (const base::SystemError& e) {
        EXPECT_STREQ(e.what(), "cannot open /nonexistent/x: No such file or directory");
    }
}

TEST(ReadFile, RefusesMoreThanItsLimit) {
    EXPECT_GT(base::read_file("/proc/self/status", 65536).size(), 100u);
    EXPECT_THROW(base::read_file("/proc/self/status", 100), base::Error);
}

TEST(WriteAll, DeliversMoreThanASocketHolds) {
    auto [a, b] = base::socket_pair();
    const std::string text(200000, 'x');
    const pid_t child = ::fork();
    if (child == 0) {
        base::write_all(a.get(), text, "socket");
        ::_exit(0);
    }
    a.reset();
    std::string got(text.size() + 1, '\0');
    EXPECT_EQ(base::read_full(b.get(), std::as_writable_bytes(std::span(got)), "socket"), text.size());
    got.resize(text.size());
    EXPECT_EQ(got, text);
}

TEST(CopyOf, SharesTheOpenFile) {
    const base::UniqueFd file = base::memory_file("test");
    base::write_all(file.get(), "abc", "test");
    const base::UniqueFd copy = base::copy_of(file);
    EXPECT_NE(copy.get(), file.get());
    EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(::lseek(copy.get(), 0, SEEK_CUR), 3);
    EXPECT_THROW(base::copy_of(base::UniqueFd()), base::SystemError);
}

TEST(MemoryFile, IsEmptyAndNotInherited) {
    const base::UniqueFd file = base::memory_file("test");
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), 0);
    EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
}
