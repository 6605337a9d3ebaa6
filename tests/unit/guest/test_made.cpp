#include "init/made.h"

#include <gmock/gmock.h>

namespace {

TEST(Made, IsReadAsItWasWritten) {
    const init::Made made{{"/data", "/with\nnewline"}, {{"hosts", "127.0.0.1\tlocalhost\n"}, {"hostname", ""}, {"mtab", "/proc/mounts"}}};
    const auto file = init::file_of(made);
    ASSERT_TRUE(file.ok()) << file.status.text;
    for (int i = 0; i < 2; i++) {
        const auto read = init::made_from(file.value.get());
        ASSERT_TRUE(read.ok()) << read.status.text;
        EXPECT_EQ(read.value.volumes, made.volumes);
        EXPECT_EQ(read.value.files, made.files);
    }
    const auto nothing = init::made_from(init::file_of({}).value.get());
    ASSERT_TRUE(nothing.ok());
    EXPECT_TRUE(nothing.value.volumes.empty() && nothing.value.files.empty());
}

}  // namespace
