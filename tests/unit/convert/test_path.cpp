#include "convert/path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

TEST(Path, IsSplitInsideTheRoot) {
    EXPECT_THAT(convert::split_path("a/b"), ElementsAre("a", "b"));
    EXPECT_THAT(convert::split_path("./a//./b/"), ElementsAre("a", "b"));
    EXPECT_THAT(convert::split_path("/etc/passwd"), ElementsAre("etc", "passwd"));
    EXPECT_THAT(convert::split_path("a/../b"), ElementsAre("b"));
    EXPECT_THAT(convert::split_path("..a/b.."), ElementsAre("..a", "b.."));
    EXPECT_THAT(convert::split_path("./"), IsEmpty());
    EXPECT_THAT(convert::split_path(""), IsEmpty());
    EXPECT_THAT(convert::split_path(std::string(255, 'x')), ElementsAre(std::string(255, 'x')));
}

TEST(Path, IsRefusedOutsideTheRoot) {
    for (const char* path : {"..", "../x", "/..", "/../x", "a/../../x", "./../x", "a/b/../../../x"}) {
        EXPECT_THAT([path] { convert::split_path(path); }, ThrowsMessage<base::Error>(HasSubstr("it leads out of the image"))) << path;
    }
}

TEST(Path, IsRefusedWhereLinuxHasNone) {
    EXPECT_THAT([] { convert::split_path(std::string(256, 'x')); }, ThrowsMessage<base::Error>("a name of 256 bytes"));
    EXPECT_THAT([] { convert::split_path(std::string(100000, 'x')); }, ThrowsMessage<base::Error>("a path of 100000 bytes"));
}

}  // namespace
