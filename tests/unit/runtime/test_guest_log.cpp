#include "runtime/guest_log.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace {

TEST(GuestLog, TakesBoundedSpace) {
    const base::TemporaryFolder folder;
    runtime::GuestLog log(folder.path() / "console.log");
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 40; i++)
        log.write(block);
    log.write("the latest");
    EXPECT_EQ(std::filesystem::file_size(folder.path() / "console.log"), 10);
    EXPECT_EQ(std::filesystem::file_size(folder.path() / "console.log.1"), runtime::GuestLog::kMaxFile);
}

TEST(GuestLog, SurvivesAFolderThatCannotBeWritten) {
    runtime::GuestLog log("/nonexistent/console.log");
    EXPECT_NO_THROW(log.write("x"));
    EXPECT_NO_THROW(log.write("x"));
}

}  // namespace
