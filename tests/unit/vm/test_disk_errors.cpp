#include "vm/disk_errors.h"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;

const nlohmann::json kFull = {
    {"device", ""}, {"node-name", "scratch"}, {"operation", "write"}, {"action", "report"}, {"reason", "No space left on device"}};

TEST(DiskErrors, SayWhatFailedAndWhy) {
    vm::DiskErrors errors;
    EXPECT_EQ(errors.line(kFull, {}), "the VM's disk scratch: write failed: No space left on device; the host's disk is full");
}

TEST(DiskErrors, SayOneInTenSecondsAndCountTheRest) {
    vm::DiskErrors errors;
    const std::chrono::steady_clock::time_point start;
    EXPECT_TRUE(errors.line(kFull, start));
    EXPECT_FALSE(errors.line(kFull, start + 1s));
    EXPECT_FALSE(errors.line(kFull, start + 9s));
    nlohmann::json broken = kFull;
    broken["reason"] = "Input/output error";
    EXPECT_EQ(errors.line(broken, start + 10s),
              "the VM's disk scratch: write failed: Input/output error (2 more since the last such line)");
}

TEST(DiskErrors, SurviveWhatIsNotAnEvent) {
    vm::DiskErrors errors;
    EXPECT_FALSE(errors.line(nlohmann::json::array(), {}));
    EXPECT_EQ(errors.line({{"node-name", 5}, {"reason", "\x1b[2J"}}, {}), "the VM's disk :  failed: ?[2J");
}

}  // namespace
