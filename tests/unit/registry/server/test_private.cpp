// Private repositories: what who sees, with each data base.
#include <fmt/format.h>

#include <ctime>
#include <optional>

#include "fixture.h"
#include "registry/server/errors.h"
#include "registry/server/link.h"
#include "registry/server/service.h"
#include "registry/server/tokens.h"

namespace registry::server {
namespace {

class PrivateTest : public RegistryOnEach {
protected:
    PrivateTest() {
        for (const char* user : {"alice", "bob"})
            metadata_.add_user(user, std::nullopt, 1);
    }
    ~PrivateTest() override { service_.stop(); }

    void attach(const char* user, const char* repository, const char* tag, const TestImage& image, bool only_check = false) {
        metadata_.set_tag({user, repository, tag}, image.id, 1000, 1, only_check, 0);
        metadata_.set_known(image.id);
    }
    // As a client pushes: it asks first, and sets the tag when all is there.
    void push(const char* user, const char* repository, const char* tag, const TestImage& image) {
        metadata_.add_upload(image.id, image.descriptor, 1, 0);
        attach(user, repository, tag, image, true);
        metadata_.set_state(image.id, State::full, 1);
        attach(user, repository, tag, image);
    }
    bool found_by_hash(const TestImage& image, const std::string& viewer) {
        const bool visible = metadata_.is_visible(image.id, viewer);
        EXPECT_EQ(metadata_.find_image(image.descriptor.sha3, viewer).has_value(), visible);
        return visible;
    }
    // Who of nobody, bob and alice has the image by its hash: "-BA" is the two users.
    std::string seen_by(const TestImage& image) {
        return std::string(found_by_hash(image, "") ? "N" : "-") + (found_by_hash(image, "bob") ? "B" : "-") +
               (found_by_hash(image, "alice") ? "A" : "-");
    }
    std::string linked(const TestImage& image) {
        const std::string path = service_.download_path(image.id, "alice");
        EXPECT_TRUE(path.starts_with(kPrivateDownload)) << path;
        return path.substr(kPrivateDownload.size());
    }

    Service service_{metadata_, storage_, {.min_free = 0}, 1};
};

WITH_EACH_DATA_BASE(PrivateTest);

TEST_P(PrivateTest, OnlyItsUserSeesARepository) {
    const TestImage image("aaaa"), open("bbbb");
    metadata_.set_private("alice", "secret", true);
    push("alice", "secret", "1", image);
    push("alice", "tools", "1", open);
    for (const char* viewer : {"", "bob", "alice"}) {
        const bool owner = std::string_view(viewer) == "alice";
        EXPECT_EQ(metadata_.find_tag({"alice", "secret", "1"}, viewer).has_value(), owner) << viewer;
        const std::optional<TaggedImage> tagged = metadata_.find_tagged({"alice", "secret", "1"}, viewer);
        EXPECT_EQ(tagged.has_value(), owner) << viewer;
        EXPECT_EQ(tagged && tagged->in_private, owner);
        EXPECT_EQ(metadata_.tags("alice", "secret", viewer, 0, 10).size(), owner ? 1u : 0u) << viewer;
        EXPECT_EQ(metadata_.repositories("", viewer, {}, 10).size(), owner ? 2u : 1u) << viewer;
        EXPECT_EQ(metadata_.tags("alice", "tools", viewer, 0, 10).size(), 1u) << viewer;
    }
    EXPECT_EQ(seen_by(image), "--A");
    EXPECT_EQ(seen_by(open), "NBA");
    EXPECT_EQ(metadata_.search("", 10).size(), 2u) << "for whoever runs the registry";
    EXPECT_TRUE(metadata_.is_private("alice", "secret"));
    EXPECT_FALSE(metadata_.is_private("alice", "tools"));
    EXPECT_FALSE(metadata_.is_private("bob", "secret"));
    EXPECT_EQ(metadata_.check(), "");
}

TEST_P(PrivateTest, AnImageIsNeverOpenBeforeOrAfterItsTag) {
    const TestImage image("aaaa");
    metadata_.set_private("alice", "secret", true);
    metadata_.add_upload(image.id, image.descriptor, 1, 0);
    attach("alice", "secret", "1", image, true);
    metadata_.set_state(image.id, State::full, 1);
    EXPECT_EQ(seen_by(image), "---");
    attach("alice", "secret", "1", image);
    EXPECT_EQ(seen_by(image), "--A");
    EXPECT_EQ(metadata_.remove_tags({"alice", "secret", "1"}), 1u);
    EXPECT_EQ(seen_by(image), "---");
    EXPECT_TRUE(metadata_.is_private("alice", "secret")) << "the next push must not be for everybody";
    EXPECT_EQ(metadata_.remove_tags({"alice", "secret", ""}), 1u) << "the repository itself";
    EXPECT_EQ(metadata_.remove_tags({"alice", "secret", ""}), 0u);
    EXPECT_FALSE(metadata_.is_private("alice", "secret"));
}

TEST_P(PrivateTest, NobodyHidesWhatIsOthers) {
    const TestImage anonymous("aaaa"), bobs("bbbb"), both("cccc");
    add(anonymous, State::full);
    push("bob", "tools", "1", bobs);
    metadata_.set_private("alice", "secret", true);
    for (const TestImage* image : {&anonymous, &bobs})
        attach("alice", "secret", "1", *image);
    attach("alice", "later", "1", anonymous);
    metadata_.set_private("alice", "later", true);
    EXPECT_EQ(seen_by(anonymous), "NBA");
    EXPECT_EQ(seen_by(bobs), "NBA");
    push("alice", "secret", "2", both);
    EXPECT_EQ(seen_by(both), "--A");
    attach("bob", "tools", "2", both);
    EXPECT_EQ(seen_by(both), "NBA") << "bob has published it himself";
}

TEST_P(PrivateTest, ARepositoryBecomesPrivateAndPublicAgain) {
    const TestImage image("aaaa");
    push("alice", "tools", "1", image);
    EXPECT_EQ(seen_by(image), "NBA");
    metadata_.set_private("alice", "tools", true);
    EXPECT_EQ(seen_by(image), "--A");
    metadata_.set_private("alice", "tools", false);
    EXPECT_EQ(seen_by(image), "NBA");
    metadata_.set_private("alice", "none", false);
    EXPECT_EQ(metadata_.remove_tags({"alice", "none", ""}), 0u) << "an empty one that is public is none";
}

TEST_P(PrivateTest, WhatAMirrorHasFetchedIsOpen) {
    const TestImage image("aaaa");
    metadata_.set_private("alice", "secret", true);
    push("alice", "secret", "1", image);
    metadata_.add_mirrored(image.id, 1);
    EXPECT_EQ(seen_by(image), "NBA");
}

TEST_P(PrivateTest, EmptyRepositoriesAreLimited) {
    for (int64_t i = 0; i < kMostEmptyRepositories; i++)
        metadata_.set_private("alice", fmt::format("r{}", i), true);
    EXPECT_EQ(status_of([&] { metadata_.set_private("alice", "more", true); }), http::kForbidden);
    EXPECT_FALSE(metadata_.is_private("alice", "more"));
    metadata_.set_private("bob", "more", true);
    EXPECT_EQ(status_of([&] { metadata_.set_private("carol", "more", true); }), http::kForbidden) << "no such user";
}

TEST_P(PrivateTest, ASecretIsTheSameForAllServers) {
    EXPECT_EQ(metadata_.secret("links", "one"), "one");
    EXPECT_EQ(open_again()->secret("links", "two"), "one");
    EXPECT_EQ(metadata_.secret("other", "two"), "two");
}

TEST_P(PrivateTest, ALinkIsForEverybodyUntilItEnds) {
    const TestImage image("aaaa");
    metadata_.set_private("alice", "secret", true);
    push("alice", "secret", "1", image);
    EXPECT_EQ(status_of([&] { service_.find(image.id, ""); }), http::kNotFound);
    EXPECT_EQ(status_of([&] { service_.download_path(image.id, "bob"); }), http::kNotFound);
    const std::string link = linked(image);
    EXPECT_EQ(link.find(image.id), std::string::npos) << "whoever knows the id can ask for a tag on it";
    EXPECT_EQ(service_.find_linked(link).id, image.id);

    Service other(metadata_, storage_, {.min_free = 0}, 1);
    EXPECT_EQ(other.find_linked(link).id, image.id) << "another server has the same key";
    other.stop();

    for (size_t i = 0; i < link.size(); i++) {
        std::string changed = link;
        changed[i] = changed[i] == '1' ? '2' : '1';
        EXPECT_EQ(status_of([&] { service_.find_linked(changed); }), http::kNotFound) << changed;
    }
    std::vector<std::string> no_links = {"", "1", "1.1.1", std::string(100'000, '1')};
    for (const char* pattern : {"0{}", "{}0", "{}/", "-{}", " {}"})
        no_links.push_back(fmt::format(fmt::runtime(pattern), link));
    no_links.push_back(fmt::format("1.2.3.{:a>64}", ""));
    for (const std::string& wrong : no_links)
        EXPECT_EQ(status_of([&] { service_.find_linked(wrong); }), http::kNotFound) << wrong.substr(0, 100);

    metadata_.block(image.id, "");
    EXPECT_EQ(status_of([&] { service_.find_linked(link); }), http::kBlocked);
    metadata_.unblock(image.id);
    metadata_.set_private("alice", "secret", true);
    EXPECT_EQ(service_.find_linked(link).id, image.id) << "no change";
    EXPECT_TRUE(metadata_.end_links("alice", "secret"));
    EXPECT_FALSE(metadata_.end_links("alice", "none"));
    EXPECT_EQ(status_of([&] { service_.find_linked(link); }), http::kNotFound) << "ended";
    const std::string second = linked(image);
    metadata_.remove_tags({"alice", "secret", "1"});
    EXPECT_EQ(status_of([&] { service_.find_linked(second); }), http::kNotFound) << "deleted";
}

TEST_P(PrivateTest, ALinkEndsWithItsTime) {
    const TestImage image("aaaa");
    metadata_.set_private("alice", "secret", true);
    push("alice", "secret", "1", image);
    Service past(metadata_, storage_, {.min_free = 0, .link_seconds = -1}, 1);
    const std::string old = past.download_path(image.id, "alice").substr(kPrivateDownload.size());
    past.stop();
    EXPECT_EQ(status_of([&] { service_.find_linked(old); }), http::kForbidden);
    // Its time is a part of what is signed.
    std::string longer = old;
    longer.insert(longer.rfind('.'), 1, '0');
    EXPECT_EQ(status_of([&] { service_.find_linked(longer); }), http::kNotFound);
}

TEST_P(PrivateTest, APublicImageHasNoLink) {
    const TestImage image("aaaa");
    push("alice", "tools", "1", image);
    EXPECT_EQ(service_.download_path(image.id, "alice"), "/download/" + image.id);
    EXPECT_EQ(service_.download_path(image.id, ""), "/download/" + image.id);
}

TEST_P(PrivateTest, OnlyItsUserMakesARepositoryPrivate) {
    const std::string token = new_token();
    metadata_.add_token("bob", token_hash(token), "", 0);
    const Name name{.user = "alice", .repository = "tools", .tag = {}};
    EXPECT_EQ(status_of([&] { service_.set_private(name, "bob", token, true); }), http::kForbidden);
    EXPECT_EQ(status_of([&] { service_.set_private(name, "alice", token, true); }), http::kUnauthorized);
    EXPECT_EQ(status_of([&] { service_.set_private({"bob", "a/b", {}}, "bob", token, true); }), http::kBadRequest);
    service_.set_private({"bob", "tools", {}}, "bob", token, true);
    EXPECT_TRUE(metadata_.is_private("bob", "tools"));
}

}  // namespace
}  // namespace registry::server
