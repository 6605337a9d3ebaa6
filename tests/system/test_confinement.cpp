// Cgroups of version 2 with all controllers and root's rights, which few build machines have. A VM has them, so unit.vm's part runs there.
#include <gmock/gmock.h>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConfinementTest : public SystemTest {};

TEST_F(ConfinementTest, CgroupsInsideAVm) {
    task_package = image("unit");
    deploy({"--mem-gib", "0.5"});
    auto runtime = start({"--mem-gib", "0.5"});
    const Process process = runtime->run({"/bin/test_vm", "--gtest_filter=Cgroup*"});
    EXPECT_EQ(process.code, 0);
    EXPECT_THAT(process.out, HasSubstr("[  PASSED  ] 7 tests.")) << process.out << process.err;
    EXPECT_THAT(process.out, Not(HasSubstr("SKIPPED"))) << process.out;
    EXPECT_EQ(runtime->shutdown(), 0);
}

}  // namespace
}  // namespace system_test
