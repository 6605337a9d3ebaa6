#include "registry/server/presence.h"

#include <gmock/gmock.h>

#include "fixture.h"

namespace registry::server {
namespace {

using testing::ElementsAre;

// Counts the questions.
class Counted : public FileStorage {
public:
    using FileStorage::FileStorage;
    std::vector<bool> which(const std::vector<std::string>& chunks) const override {
        asked += chunks.size();
        return Storage::which(chunks);
    }
    mutable size_t asked = 0;
};

class PresenceTest : public Registry {
protected:
    Counted counted_{folder_};
    Presence presence_{counted_};
    const TestImage image_{"aaaabbbbaaaa"};
    Upload upload_{.id = image_.id, .descriptor = image_.descriptor};
    const Presence::Clock::time_point now_ = Presence::Clock::now();
};

TEST_F(PresenceTest, AsksForWhatIsMissingOnceASecond) {
    store("aaaa");
    EXPECT_THAT(presence_.look(upload_, now_), ElementsAre(true, false, true));
    EXPECT_EQ(counted_.asked, 2u);
    store("bbbb");
    EXPECT_THAT(presence_.look(upload_, now_ + std::chrono::milliseconds(900)), ElementsAre(true, false, true));
    EXPECT_EQ(counted_.asked, 2u);
    EXPECT_THAT(presence_.look(upload_, now_ + std::chrono::seconds(1)), ElementsAre(true, true, true));
    EXPECT_EQ(counted_.asked, 3u);
}

TEST_F(PresenceTest, WhatWeHaveStoredIsThere) {
    presence_.stored(image_.id, image_.descriptor.chunks[1], 4);  // nobody has asked yet
    EXPECT_THAT(presence_.look(upload_, now_), ElementsAre(false, false, false));
    presence_.stored(image_.id, image_.descriptor.chunks[1], 4);
    upload_.stored = 4;
    EXPECT_THAT(presence_.look(upload_, now_), ElementsAre(false, true, false));
    EXPECT_EQ(counted_.asked, 2u);  // chunks that are different
}

TEST_F(PresenceTest, WhatAnotherServerHasStoredIsThereAtOnce) {
    EXPECT_THAT(presence_.look(upload_, now_), ElementsAre(false, false, false));
    store("bbbb");
    upload_.stored = 4;
    EXPECT_THAT(presence_.look(upload_, now_), ElementsAre(false, true, false));
    EXPECT_THAT(presence_.look(upload_, now_), ElementsAre(false, true, false));
    EXPECT_EQ(counted_.asked, 4u);
}

TEST_F(PresenceTest, NothingIsTrustedForLongOrBeyondAnUploadsEnd) {
    store("aaaa");
    EXPECT_THAT(presence_.look(upload_, now_), ElementsAre(true, false, true));
    storage_.remove(image_.descriptor.chunks[0]);
    EXPECT_THAT(presence_.look(upload_, now_ + std::chrono::seconds(29)), ElementsAre(true, false, true));
    EXPECT_THAT(presence_.look(upload_, now_ + std::chrono::seconds(30)), ElementsAre(false, false, false));
    store("aaaa");
    presence_.forget(image_.id);
    EXPECT_THAT(presence_.look(upload_, now_ + std::chrono::seconds(30)), ElementsAre(true, false, true));
}

}  // namespace
}  // namespace registry::server
