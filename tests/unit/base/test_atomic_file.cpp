#include "base/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"

namespace {

class AtomicFile : public testing::Test {
protected:
    AtomicFile() {
        std::string name = testing::TempDir() + "atomic.XXXXXX";
        folder_ = ::mkdtemp(name.data());
    }
    ~AtomicFile() override { std::filesystem::remove_all(folder_); }

    size_t entries() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {})); }

    std::filesystem::path folder_;
};

TEST_F(AtomicFile, AppearsWholeAtCommit) {
    base::AtomicFile file(folder_ / "a");
    file.write("hel");
    file.write("lo");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
    file.commit();
    EXPECT_EQ(base::read_file(folder_ / "a", 100), "hello");
    EXPECT_EQ(entries(), 1u);
}

TEST_F(AtomicFile, LeavesNothingWithoutCommit) {
    { const base::AtomicFile file(folder_ / "a"); }
    EXPECT_EQ(entries(), 0u);
}

TEST_F(AtomicFile, KeepsTheOldFileUntilCommit) {
    base::write_all(base::open_file(folder_ / "a", O_WRONLY | O_CREAT).get(), "old", "a");
    {
        base::AtomicFile file(folder_ / "a");
        file.write("new");
    }
    EXPECT_EQ(base::read_file(folder_ / "a", 100), "old");
}

TEST_F(AtomicFile, TakesThePlaceOfTheOldFile) {
    base::write_all(base::open_file(folder_ / "a", O_WRONLY | O_CREAT).get(), "old", "a");
    base::AtomicFile file(folder_ / "a");
    file.write("new");
    EXPECT_EQ(entries(), 1u);  // a kill would leave no more
    file.commit();
    EXPECT_EQ(base::read_file(folder_ / "a", 100), "new");
    EXPECT_EQ(entries(), 1u);
}

TEST_F(AtomicFile, ObeysTheUmask) {
    const mode_t old = ::umask(027);
    base::AtomicFile file(folder_ / "a", 0666);
    ::umask(old);
    struct stat status {};
    ASSERT_EQ(::fstat(file.fd().get(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST_F(AtomicFile, SaysWhichFileCannotBeMade) {
    try {
        const base::AtomicFile file(folder_ / "missing" / "a");
        FAIL();
    } catch (const base::SystemError& e) {
        EXPECT_NE(std::string(e.what()).find("missing/a: No such file"), std::string::npos);
    }
}

}  // namespace
