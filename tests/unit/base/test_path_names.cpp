#include "base/path_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(PathNames, KeepTheirDots) {
    EXPECT_THAT(base::path_names("../../a/./b"), ElementsAre("..", "..", "a", "b"));
    EXPECT_THAT(base::path_names("/"), IsEmpty());
}

}  // namespace
