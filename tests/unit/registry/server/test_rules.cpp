#include <gmock/gmock.h>

#include <future>
#include <string>
#include <vector>

#include "fixture.h"
#include "registry/server/errors.h"
#include "registry/server/names.h"

namespace registry::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kQuota = 1000;

class RulesTest : public RegistryOnEach {
protected:
    RulesTest() {
        metadata_.add_user("alice", std::nullopt, 0);
        metadata_.add_user("bob", std::nullopt, 0);
        add(one_, State::full);
        add(two_, State::full);
    }

    void tag(const std::string& name, const TestImage& image, Time now, Time expires = 0) {
        metadata_.set_tag(parse_name(name), image.id, kQuota, now, false, expires);
    }
    unsigned tag_status(const std::string& name, const TestImage& image, bool only_check) {
        return status_of([&] { metadata_.set_tag(parse_name(name), image.id, kQuota, 1, only_check, 0); });
    }
    std::vector<std::string> removed(Age age, Time now) {
        std::vector<std::string> names;
        // With PostgreSQL one user's at a time.
        for (std::vector<Name> some = metadata_.remove_old_tags(age, now, 100); !some.empty();
             some = metadata_.remove_old_tags(age, now, 100)) {
            for (const Name& name : some)
                names.push_back(full_name(name));
        }
        std::sort(names.begin(), names.end());
        return names;
    }
    std::vector<std::string> left(const std::string& user, const std::string& repository) {
        std::vector<std::string> names;
        for (const TaggedImage& image : metadata_.tags(user, repository, user, 0, 100))
            names.push_back(image.name.tag);
        return names;
    }

    const TestImage one_{"aaaa"}, two_{"bbbb"};
};

WITH_EACH_DATA_BASE(RulesTest);

TEST_P(RulesTest, ARepositoryByItselfStays) {
    const Name tools{"alice", "tools", {}};
    EXPECT_TRUE(metadata_.make_repository(tools));
    EXPECT_FALSE(metadata_.make_repository(tools));
    EXPECT_THROW(metadata_.make_repository({"carol", "tools", {}}), HttpError);
    EXPECT_TRUE(metadata_.make_repository({"alice", "more", {}}));
    EXPECT_THAT(metadata_.empty_repositories("alice", 10), ElementsAre("more", "tools"));
    EXPECT_THAT(metadata_.empty_repositories("bob", 10), IsEmpty());
    tag("alice/tools:1", one_, 1);
    EXPECT_THAT(metadata_.empty_repositories("alice", 10), ElementsAre("more"));
    EXPECT_EQ(metadata_.remove_tags({"alice", "tools", "1"}), 1u);
    EXPECT_THAT(metadata_.empty_repositories("alice", 10), ElementsAre("more", "tools"));
    EXPECT_EQ(metadata_.remove_tags(tools), 1u);
    EXPECT_THAT(metadata_.empty_repositories("alice", 10), ElementsAre("more"));
    EXPECT_EQ(metadata_.remove_tags(tools), 0u);
    // One that came with its first tag goes with its last.
    tag("alice/other:1", one_, 1);
    EXPECT_EQ(metadata_.remove_tags({"alice", "other", "1"}), 1u);
    EXPECT_THAT(metadata_.empty_repositories("alice", 10), ElementsAre("more"));
}

TEST_P(RulesTest, NotTooManyEmptyOnes) {
    for (int64_t n = 0; n < kMostEmptyRepositories; n++)
        metadata_.make_repository({"alice", std::to_string(n), {}});
    EXPECT_THROW(metadata_.make_repository({"alice", "one-more", {}}), HttpError);
    EXPECT_TRUE(metadata_.make_repository({"bob", "one-more", {}}));
}

TEST_P(RulesTest, ImmutableTagsKeepTheirImage) {
    const Name tools{"alice", "tools", {}};
    metadata_.set_rules(tools, {.immutable = true});
    EXPECT_EQ(tag_status("alice/tools:1", one_, true), 200u);
    EXPECT_EQ(tag_status("alice/tools:1", one_, false), 200u);
    EXPECT_EQ(tag_status("alice/tools:1", one_, false), 200u);  // the same again
    EXPECT_EQ(tag_status("alice/tools:1", two_, true), 409u);
    EXPECT_EQ(tag_status("alice/tools:1", two_, false), 409u);
    EXPECT_EQ(metadata_.find_tag(parse_name("alice/tools:1"), ""), one_.id);
    EXPECT_EQ(tag_status("alice/tools:2", two_, false), 200u);
    EXPECT_EQ(tag_status("alice/other:1", one_, false), 200u);
    EXPECT_EQ(tag_status("alice/other:1", two_, false), 200u);
    metadata_.set_rules(tools, {.immutable = false});
    EXPECT_EQ(tag_status("alice/tools:1", two_, false), 200u);
}

TEST_P(RulesTest, OfTwoWhoSetAnImmutableTagOneDoes) {
    metadata_.set_rules({"alice", "tools", {}}, {.immutable = true});
    const auto other = open_again();
    for (int round = 0; round < 10; round++) {
        const std::string name = "alice/tools:" + std::to_string(round);
        auto first = std::async(std::launch::async, [&] { return tag_status(name, one_, false); });
        unsigned second = 200;
        try {
            other->set_tag(parse_name(name), two_.id, kQuota, 1, false, 0);
        } catch (const HttpError& e) {
            second = e.status();
        }
        EXPECT_EQ(first.get() + second, 200u + 409u);
    }
}

TEST_P(RulesTest, RulesAreKeptOneByOne) {
    const Name tools{"alice", "tools", {}};
    EXPECT_FALSE(metadata_.find_rules(tools));
    metadata_.set_rules(tools, {.keep = 3});
    metadata_.set_rules(tools, {.keep_younger = 60});
    const std::optional<Rules> rules = metadata_.find_rules(tools);
    ASSERT_TRUE(rules);
    EXPECT_FALSE(rules->immutable);
    EXPECT_EQ(rules->keep, 3u);
    EXPECT_EQ(rules->keep_younger, 60);
    EXPECT_THROW(metadata_.set_rules({"carol", "tools", {}}, {.keep = 3}), HttpError);
}

TEST_P(RulesTest, WhatNoRuleKeepsGoes) {
    for (int n = 1; n <= 5; n++) {
        for (const char* repository : {"alice/count:", "alice/young:", "alice/both:", "alice/all:", "bob/count:"})
            tag(repository + std::to_string(n), one_, 1000 + n);
    }
    metadata_.set_rules({"alice", "count", {}}, {.keep = 2});
    metadata_.set_rules({"bob", "count", {}}, {.keep = 4});
    metadata_.set_rules({"alice", "young", {}}, {.keep_younger = 100});
    metadata_.set_rules({"alice", "both", {}}, {.keep = 1, .keep_younger = 102});
    EXPECT_THAT(removed(Age::not_kept, 1103), ElementsAre("alice/both:1", "alice/count:1", "alice/count:2", "alice/count:3",
                                                          "alice/young:1", "alice/young:2", "alice/young:3", "bob/count:1"));
    EXPECT_THAT(removed(Age::not_kept, 1103), IsEmpty());
    EXPECT_THAT(left("alice", "count"), ElementsAre("5", "4"));
    EXPECT_THAT(left("alice", "young"), ElementsAre("5", "4"));
    EXPECT_THAT(left("alice", "both"), ElementsAre("5", "4", "3", "2"));
    EXPECT_EQ(left("alice", "all").size(), 5u);
    // Everything may be too old, but for those that are counted.
    removed(Age::not_kept, 100'000);
    EXPECT_THAT(left("alice", "young"), IsEmpty());
    EXPECT_THAT(left("alice", "both"), ElementsAre("5"));
    // The rules hold for what comes.
    EXPECT_EQ(metadata_.find_rules({"alice", "young", {}})->keep_younger, 100);
}

TEST_P(RulesTest, TagsGoWhenTheirTimeIsOver) {
    tag("alice/tools:1", one_, 1000, 2000);
    tag("alice/tools:2", one_, 1000);
    tag("bob/tools:1", two_, 1000, 2500);
    EXPECT_EQ(metadata_.tag_expiry(parse_name("alice/tools:1")), 2000);
    EXPECT_EQ(metadata_.tag_expiry(parse_name("alice/tools:2")), 0);
    EXPECT_EQ(metadata_.tag_expiry(parse_name("alice/tools:3")), 0);
    EXPECT_THAT(removed(Age::expired, 1999), IsEmpty());
    EXPECT_THAT(removed(Age::expired, 2000), ElementsAre("alice/tools:1"));
    EXPECT_THAT(left("alice", "tools"), ElementsAre("2"));
    // Set again without a time, it stays.
    tag("bob/tools:1", two_, 1001);
    EXPECT_THAT(removed(Age::expired, 9000), IsEmpty());
    // A repository goes with its last tag.
    tag("bob/short:1", two_, 1000, 1001);
    EXPECT_THAT(removed(Age::expired, 9000), ElementsAre("bob/short:1"));
    EXPECT_FALSE(metadata_.find_rules({"bob", "short", {}}));
}

TEST_P(RulesTest, UploadsGoWhenTheirTimeIsOver) {
    const TestImage brief("cccc"), tagged("dddd"), mirrored("eeee");
    for (const TestImage* image : {&brief, &tagged, &mirrored})
        EXPECT_TRUE(metadata_.add_upload(image->id, image->descriptor, 1000, 2000));
    // Who pushes it again neither keeps it nor ends it.
    EXPECT_FALSE(metadata_.add_upload(brief.id, brief.descriptor, 1000, 0));
    EXPECT_FALSE(metadata_.add_upload(one_.id, one_.descriptor, 1000, 1));
    EXPECT_EQ(metadata_.find_upload(brief.id)->expires, 2000);
    tag("alice/tools:1", tagged, 1000);
    metadata_.add_mirrored(mirrored.id, 1000);
    EXPECT_EQ(metadata_.remove_expired_uploads(1999, 100), 0u);
    EXPECT_EQ(metadata_.remove_expired_uploads(2000, 100), 1u);
    EXPECT_FALSE(metadata_.find_upload(brief.id));
    EXPECT_TRUE(metadata_.find_upload(tagged.id));
    EXPECT_TRUE(metadata_.find_upload(mirrored.id));
    EXPECT_TRUE(metadata_.find_upload(one_.id));
    // A user's tag takes the time away, or gives a longer one; the check before the push does so already.
    EXPECT_EQ(metadata_.find_upload(tagged.id)->expires, 0);
    metadata_.set_tag(parse_name("alice/tools:2"), mirrored.id, kQuota, 1000, true, 3000);
    EXPECT_EQ(metadata_.find_upload(mirrored.id)->expires, 3000);
    metadata_.set_tag(parse_name("alice/tools:2"), mirrored.id, kQuota, 1000, true, 2500);
    EXPECT_EQ(metadata_.find_upload(mirrored.id)->expires, 3000);
    metadata_.set_tag(parse_name("alice/tools:2"), mirrored.id, kQuota, 1000, true, 0);
    EXPECT_EQ(metadata_.find_upload(mirrored.id)->expires, 0);
    metadata_.set_tag(parse_name("alice/tools:2"), one_.id, kQuota, 1000, true, 3000);
    EXPECT_EQ(metadata_.find_upload(one_.id)->expires, 0);
}

}  // namespace
}  // namespace registry::server
