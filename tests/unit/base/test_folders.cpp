#include "base/folders.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/temporary_folder.h"

namespace {

// Sets an environment variable for as long as it lives; none: takes it away.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        set(value);
    }
    ~Variable() { set(before_ ? before_->c_str() : nullptr); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    void set(const char* value) { (void)(value ? ::setenv(name_, value, 1) : ::unsetenv(name_)); }

    const char* name_;
    std::optional<std::string> before_;
};

TEST(UserCacheFolder, IsXdgsElseBelowHome) {
    const Variable home("HOME", "/home/me");
    {
        const Variable cache("XDG_CACHE_HOME", "/cache");
        EXPECT_EQ(base::user_cache_folder(), "/cache");
    }
    const Variable cache("XDG_CACHE_HOME", "");
    EXPECT_EQ(base::user_cache_folder(), "/home/me/.cache");
    const Variable nowhere("HOME", nullptr);
    EXPECT_EQ(base::user_cache_folder(), "");
}

class GiveToOwner : public testing::Test {
protected:
    mode_t mode(const char* name) const {
        struct stat status {};
        EXPECT_EQ(::lstat((folder_.path() / name).c_str(), &status), 0);
        return status.st_mode & 07777;
    }
    base::TemporaryFolder folder_;
    base::UniqueFd parent_ = base::open_file(folder_.path(), O_RDONLY | O_DIRECTORY);
};

TEST_F(GiveToOwner, SetsTheOwnersRightsAndKeepsWhatItShall) {
    for (const char* name : {"all", "none"}) {
        ASSERT_EQ(::mkdirat(parent_.get(), name, 0700), 0);
        ASSERT_EQ(::chmod((folder_.path() / name).c_str(), 03055), 0);
    }
    EXPECT_TRUE(base::give_to_owner(parent_.get(), "all", 0777));
    EXPECT_EQ(mode("all"), 0755U);
    EXPECT_TRUE(base::give_to_owner(parent_.get(), "none", 0));
    EXPECT_EQ(mode("none"), 0700U);
}

TEST_F(GiveToOwner, TakesNothingButAFolder) {
    ASSERT_EQ(::mkdirat(parent_.get(), "folder", 0500), 0);
    ASSERT_EQ(::symlinkat("folder", parent_.get(), "link"), 0);
    std::ofstream(folder_.path() / "file") << "";
    EXPECT_FALSE(base::give_to_owner(parent_.get(), "link", 0));
    EXPECT_FALSE(base::give_to_owner(parent_.get(), "file", 0));
    EXPECT_FALSE(base::give_to_owner(parent_.get(), "missing", 0));
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(mode("folder"), 0500U);
}

TEST(NextEntry, LeavesOutTheFolderItselfAndItsParent) {
    const base::TemporaryFolder folder;
    std::ofstream(folder.path() / "..hidden") << "";
    const base::Folder opened = base::read_folder(base::open_file(folder.path(), O_RDONLY | O_DIRECTORY));
    const dirent* entry = base::next_entry(opened.get());
    ASSERT_NE(entry, nullptr);
    EXPECT_STREQ(entry->d_name, "..hidden");
    EXPECT_EQ(base::next_entry(opened.get()), nullptr);
}

TEST(NamesIn, AreSortedAndTheFolderStaysAtItsBeginning) {
    const base::TemporaryFolder folder;
    for (const char* name : {"b", ".a", "c"})
        std::ofstream(folder.path() / name) << "";
    const base::UniqueFd fd = base::open_file(folder.path(), O_RDONLY | O_DIRECTORY);
    for (int round = 0; round < 2; round++)
        EXPECT_EQ(base::names_in(fd.get()), (std::vector<std::string>{".a", "b", "c"}));
    const base::UniqueFd file = base::open_file(folder.path() / "b", O_RDONLY);
    EXPECT_THROW((void)base::names_in(file.get()), base::SystemError);
}

}  // namespace
