#include "dbg/attached.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace dbg {
namespace {

using testing::ElementsAre;

class PassedEnvironment : public testing::Test {
protected:
    void SetUp() override {
        for (const char* name : {"TERM", "COLORTERM", "LANG", "OURS"})
            (void)::unsetenv(name);
    }
};

TEST_F(PassedEnvironment, NameAloneTakesOurValue) {
    (void)::setenv("OURS", "of=ours", 1);
    EXPECT_THAT(passed_environment({"K=V", "OURS", "NOBODYS", "EMPTY="}, false), ElementsAre("K=V", "OURS=of=ours", "EMPTY="));
}

TEST_F(PassedEnvironment, TerminalIsDescribedFirst) {
    (void)::setenv("TERM", "xterm", 1);
    (void)::setenv("LANG", "C.UTF-8", 1);
    EXPECT_THAT(passed_environment({"TERM=dumb"}, true), ElementsAre("TERM=xterm", "LANG=C.UTF-8", "TERM=dumb"));
    EXPECT_THAT(passed_environment({}, false), ElementsAre());
}

}  // namespace
}  // namespace dbg
