// Images as objects in the store: their rows, and what gc and fsck do.
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "fixture.h"
#include "registry/server/maintenance.h"

namespace registry::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ComposedTest : public RegistryOnEach {
protected:
    // An image with a whole object of this name.
    void compose(const TestImage& image, const std::string& object, Time used) {
        add(image, State::full);
        ASSERT_TRUE(metadata_.add_composed(image.id, object, image.descriptor.size, used, used + 60));
        ASSERT_TRUE(metadata_.finish_composed(object, used));
    }

    const TestImage one_{"aaaabbbb"}, two_{"aaaacccc"};
};

WITH_EACH_DATA_BASE(ComposedTest);

TEST_P(ComposedTest, OneHasTheClaim) {
    add(one_, State::full);
    EXPECT_TRUE(metadata_.add_composed(one_.id, "x", 8, 100, 160));
    EXPECT_FALSE(metadata_.add_composed(one_.id, "y", 8, 200, 260)) << "until the first one's object is removed";
    EXPECT_EQ(metadata_.use_composed(one_.id, 100), std::nullopt);
    EXPECT_THAT(metadata_.useless_composed(160), IsEmpty());
    EXPECT_THAT(metadata_.useless_composed(161), ElementsAre("x"));
    EXPECT_TRUE(metadata_.renew_composed("x", 200));
    EXPECT_THAT(metadata_.useless_composed(161), IsEmpty());
    EXPECT_TRUE(metadata_.finish_composed("x", 170));
    EXPECT_FALSE(metadata_.renew_composed("x", 300));
    EXPECT_EQ(metadata_.use_composed(one_.id, 170), "x");
    metadata_.remove_composed("x");
    EXPECT_EQ(metadata_.use_composed(one_.id, 170), std::nullopt);
    EXPECT_FALSE(metadata_.finish_composed("x", 170));
    EXPECT_TRUE(metadata_.add_composed(one_.id, "y", 8, 200, 260));
}

TEST_P(ComposedTest, AnObjectInUseIsNotRetired) {
    compose(one_, "x", 100);
    compose(two_, "y", 101);
    EXPECT_EQ(metadata_.use_composed(one_.id, 109), "x");
    EXPECT_EQ(metadata_.composed()[0].used, 100) << "to ten seconds";
    EXPECT_EQ(metadata_.use_composed(one_.id, 110), "x");
    EXPECT_EQ(metadata_.use_composed(one_.id, 50), "x");
    ASSERT_EQ(metadata_.composed().size(), 2U);
    EXPECT_EQ(metadata_.composed()[0].object, "y");
    EXPECT_EQ(metadata_.composed()[1].used, 110);
    EXPECT_FALSE(metadata_.retire_composed("x", 109));
    EXPECT_TRUE(metadata_.retire_composed("x", 110));
    EXPECT_EQ(metadata_.use_composed(one_.id, 111), std::nullopt);
    EXPECT_THAT(metadata_.useless_composed(0), ElementsAre("x"));
}

TEST_P(ComposedTest, ObjectsOfWhatIsBlockedAreUseless) {
    compose(one_, "x", 100);
    compose(two_, "y", 100);
    metadata_.block(two_.descriptor.sha3, "");
    EXPECT_THAT(metadata_.useless_composed(0), ElementsAre("y"));
    metadata_.unblock(two_.descriptor.sha3);
    EXPECT_EQ(metadata_.use_composed(two_.id, 100), std::nullopt) << "it is removed all the same";
    metadata_.remove_composed("y");
    for (const std::string& hash : {one_.id, one_.descriptor.chunks[0]}) {
        metadata_.remove_composed("x");
        ASSERT_TRUE(metadata_.add_composed(one_.id, "x", 8, 100, 160));
        metadata_.block(hash, "");
        EXPECT_THAT(metadata_.useless_composed(0), ElementsAre("x")) << hash;
        EXPECT_FALSE(metadata_.finish_composed("x", 100));
    }
    EXPECT_EQ(metadata_.check(), "");
}

TEST_P(ComposedTest, ObjectsOfWhatNobodyMayHaveAreUseless) {
    compose(one_, "x", 100);
    metadata_.add_user("alice", std::nullopt, 1);
    metadata_.set_private("alice", "tools", true);
    add(two_, State::partial);
    metadata_.set_tag({"alice", "tools", "1"}, two_.id, 1000, 1, true, 0);
    compose(two_, "y", 100);
    EXPECT_THAT(metadata_.useless_composed(0), ElementsAre("y")) << "hidden, without a tag";
    metadata_.set_tag({"alice", "tools", "1"}, two_.id, 1000, 1, false, 0);
    EXPECT_THAT(metadata_.useless_composed(0), IsEmpty());
    metadata_.end_links("alice", "tools");
    EXPECT_THAT(metadata_.useless_composed(0), ElementsAre("y"));
    metadata_.remove_composed("y");
    EXPECT_EQ(metadata_.expire(1 << 20, 10), 1U);
    EXPECT_THAT(metadata_.useless_composed(0), ElementsAre("x")) << "the upload is gone";
}

}  // namespace
}  // namespace registry::server
