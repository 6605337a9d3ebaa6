#include "init/drivers.h"

#include <gmock/gmock.h>

namespace {

using init::Node;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(NvidiaNodes, HaveTheMajorNumbersOfTheDrivers) {
    EXPECT_THAT(init::nvidia_nodes("Character devices:\n  1 mem\n195 nvidia-frontend\n510 nvidia-uvm\n\nBlock devices:\n  8 sd\n", 2),
                ElementsAre(Node{"nvidia0", 195, 0}, Node{"nvidia1", 195, 1}, Node{"nvidiactl", 195, 255}, Node{"nvidia-uvm", 510, 0}));
    EXPECT_THAT(init::nvidia_nodes("Character devices:\n195 nvidia\n195 nvidia-modeset\n195 nvidiactl\n", 1),
                ElementsAre(Node{"nvidia0", 195, 0}, Node{"nvidiactl", 195, 255}));
}

TEST(NvidiaNodes, AreNoneWithoutADriver) {
    EXPECT_THAT(init::nvidia_nodes("Character devices:\n  1 mem\n195 nvidia-modeset\n\nBlock devices:\n195 nvidia\n", 1), IsEmpty());
    EXPECT_THAT(init::nvidia_nodes("", 1), IsEmpty());
    EXPECT_THAT(init::nvidia_nodes("garbage\n\n195\nnvidia", 1), IsEmpty());
}

}  // namespace
