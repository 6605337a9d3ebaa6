#include "init/names.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/fd.h"

namespace {

namespace fs = std::filesystem;

TEST(Names, AreThoseOfAllFoldersInTheOrderOfTheirBytes) {
    std::string pattern = (fs::temp_directory_path() / "names-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    const fs::path work = pattern;
    for (const char* folder : {"one", "two"})
        fs::create_directory(work / folder);
    for (const char* name : {"one/b", "one/a", "two/b", "two/a-b", "two/\xff", "one/Z"})
        std::ofstream(work / name);
    init::Names names;
    for (const char* folder : {"one", "two"}) {
        const base::UniqueFd fd(::open((work / folder).c_str(), O_RDONLY | O_DIRECTORY));
        ASSERT_TRUE(names.add(fd.get()).ok());
    }
    ASSERT_TRUE(names.add(-1).ok());
    names.sort();
    std::vector<std::string> found;
    for (size_t i = 0; i < names.size(); i++)
        found.emplace_back(names[i]);
    EXPECT_THAT(found, testing::ElementsAre("Z", "a", "a-b", "b", "\xff"));
    EXPECT_TRUE(names.contains("a-b"));
    EXPECT_FALSE(names.contains("a-"));
    fs::remove_all(work);
}

}  // namespace
