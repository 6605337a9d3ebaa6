#include "init/environment.h"

#include <gmock/gmock.h>

namespace {

using testing::ElementsAre;

std::vector<std::string> environment(const std::vector<const char*>& env) {
    google::protobuf::RepeatedPtrField<std::string> field;
    for (const char* entry : env)
        field.Add(entry);
    return init::environment(field, "/home/x", "golem");
}

TEST(Environment, AddsWhatIsMissing) {
    EXPECT_THAT(environment({}),
                ElementsAre("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/x", "HOSTNAME=golem"));
}

TEST(Environment, TheImagesOwnValuesStay) {
    EXPECT_THAT(environment({"PATH=/bin", "HOSTNAME=", "HOME=/other", "A=1"}), ElementsAre("PATH=/bin", "HOSTNAME=", "HOME=/other", "A=1"));
}

TEST(Environment, TheLastOfANameCounts) {
    EXPECT_THAT(environment({"PATH=/bin", "A=1", "HOME=/", "HOSTNAME=h", "A=2", "AB=3"}),
                ElementsAre("PATH=/bin", "A=2", "HOME=/", "HOSTNAME=h", "AB=3"));
}

TEST(Environment, ValueOfTakesWholeNames) {
    const std::vector<std::string> entries{"PATHS=no", "NOPATH=no", "PATH", "PATH=a=b"};
    EXPECT_EQ(init::value_of(entries, "PATH"), "a=b");
    EXPECT_EQ(init::value_of(entries, "HOME"), "");
}

}  // namespace
