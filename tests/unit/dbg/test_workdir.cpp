#include "dbg/workdir.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace dbg {
namespace {
namespace fs = std::filesystem;

TEST(Workdir, TemporaryOneIsRemovedWithItsContent) {
    fs::path path;
    {
        const Workdir workdir{fs::path()};
        path = workdir.path();
        ASSERT_TRUE(fs::is_directory(path));
        std::ofstream(path / "file") << "content";
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST(Workdir, OneAskedForIsMadeAndStays) {
    const Workdir outer{fs::path()};
    const fs::path path = outer.path() / "a/b";
    { const Workdir workdir(path); }
    EXPECT_TRUE(fs::is_directory(path));
    std::ofstream(outer.path() / "file") << "content";
    EXPECT_THROW(const Workdir bad(outer.path() / "file"), base::Error);
}

}  // namespace
}  // namespace dbg
