#include "registry/server/metadata.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <chrono>
#include <fstream>
#include <future>

#include "base/error.h"
#include "fixture.h"
#include "http/client.h"
#include "registry/server/errors.h"
#include "registry/server/open_metadata.h"
#include "registry/server/postgres.h"

namespace registry::server {
namespace {

class MetadataTest : public RegistryOnEach {
protected:
    void tag(const char* name, const TestImage& image, Time now = 1, uint64_t quota = 1000) {
        metadata_.set_tag({"alice", "tools", name}, image.id, quota, now, false, 0);
    }
};

WITH_EACH_DATA_BASE(MetadataTest);

TEST_P(MetadataTest, KeepsUploads) {
    const TestImage image("aaaabbbbcc");
    EXPECT_FALSE(metadata_.find_upload(image.id));
    metadata_.add_upload(image.id, image.descriptor, 5, 0);
    metadata_.add_upload(image.id, image.descriptor, 6, 0);
    const Upload upload = metadata_.find_upload(image.id).value();
    EXPECT_EQ(serialize(upload.descriptor), image.bytes);
    EXPECT_EQ(upload.state, State::partial);
    EXPECT_FALSE(metadata_.find_image(image.descriptor.sha3, ""));
    metadata_.set_state(image.id, State::full, 7);
    EXPECT_EQ(metadata_.find_image(image.descriptor.sha3, ""), image.id);
    EXPECT_TRUE(metadata_.uploads(State::partial).empty());
    EXPECT_EQ(metadata_.uploads(State::full), std::vector{image.id});
    EXPECT_EQ(metadata_.check(), "");
}

TEST_P(MetadataTest, KeepsWhatAMirrorHasFetched) {
    const TestImage one("aaaabbbb"), two("ccccdddd"), three("eeeeffff");
    for (const TestImage* image : {&one, &two, &three})
        add(*image, State::full);
    metadata_.add_mirrored(one.id, 1000);
    metadata_.add_mirrored(two.id, 1001);
    const auto ids = [this] {
        std::vector<std::string> all;
        for (const Mirrored& image : metadata_.mirrored()) {
            EXPECT_EQ(image.size, 8U);
            all.push_back(image.id);
        }
        return all;
    };
    EXPECT_EQ(ids(), (std::vector{one.id, two.id}));
    metadata_.use_mirrored(one.id, 1060);
    EXPECT_EQ(ids(), (std::vector{one.id, two.id})) << "to a minute";
    metadata_.use_mirrored(one.id, 1061);
    metadata_.use_mirrored(three.id, 1061);
    EXPECT_EQ(ids(), (std::vector{two.id, one.id}));
    EXPECT_EQ(metadata_.expire(1 << 20, 100), 1U) << "the third one alone";
    metadata_.add_user("alice", std::nullopt, 1);
    tag("1", one);
    metadata_.remove_mirrored(one.id);
    metadata_.remove_mirrored(two.id);
    EXPECT_TRUE(ids().empty());
    EXPECT_TRUE(metadata_.find_upload(one.id)) << "alice has it";
    EXPECT_FALSE(metadata_.find_upload(two.id));
    EXPECT_EQ(metadata_.check(), "");
}

TEST_P(MetadataTest, KeepsWhatTagsNamedInAnotherRegistry) {
    EXPECT_FALSE(metadata_.find_mirrored_tag("alice/tools:1.0"));
    metadata_.set_mirrored_tag("alice/tools:1.0", {.sha3 = "ab", .asked = 5});
    metadata_.set_mirrored_tag("alice/tools:1.0", {.sha3 = "cd", .asked = 6});
    const std::optional<MirroredTag> found = metadata_.find_mirrored_tag("alice/tools:1.0");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->sha3, "cd");
    EXPECT_EQ(found->asked, 6);
    metadata_.forget_mirrored_tag("alice/tools:1.0");
    EXPECT_FALSE(metadata_.find_mirrored_tag("alice/tools:1.0"));
}

// The same image may come in other chunks, from anybody.
TEST_P(MetadataTest, AHashMeansTheUploadOfAKnownUserThatIsServed) {
    const TestImage one("aaaabbbb", 4), two("aaaabbbb", 8), three("aaaabbbb", 2);
    for (const TestImage* image : {&one, &two, &three})
        add(*image, State::full);
    metadata_.add_user("alice", std::nullopt, 1);
    for (const TestImage* image : {&one, &two, &three}) {
        tag("1", *image);
        EXPECT_EQ(metadata_.find_image(one.descriptor.sha3, ""), image->id) << "the tagged one";
    }
    metadata_.block(three.id, "");
    EXPECT_NE(metadata_.find_image(one.descriptor.sha3, ""), three.id) << "not the blocked one";
    metadata_.unblock(three.id);
    metadata_.block(three.descriptor.chunks[0], "");
    EXPECT_NE(metadata_.find_image(one.descriptor.sha3, ""), three.id) << "nor one of which a chunk is blocked";
    metadata_.block(one.id, "");
    metadata_.block(two.id, "");
    EXPECT_TRUE(metadata_.find_image(one.descriptor.sha3, "")) << "blocked, and not unknown";
}

TEST_P(MetadataTest, AnotherConnectionSeesTheSame) {
    const std::unique_ptr<Metadata> other = open_again();
    metadata_.add_user("alice", 17, 1);
    EXPECT_EQ(other->users().at(0).quota, 17u);
    EXPECT_TRUE(other->remove_user("alice"));
    EXPECT_TRUE(metadata_.users().empty());
}

TEST_P(MetadataTest, TagsMoveAndGoWithTheirUser) {
    const TestImage first("aaaa"), second("bbbb");
    add(first, State::full);
    add(second, State::full);
    metadata_.add_user("alice", std::nullopt, 1);
    tag("1", first);
    tag("2", first, 2);
    tag("1", second, 3);
    EXPECT_EQ(metadata_.find_tag({"alice", "tools", "1"}, ""), second.id);
    EXPECT_EQ(metadata_.tags("alice", "tools", "", 0, 10).size(), 2u);
    EXPECT_EQ(metadata_.tags("alice", "tools", "", 0, 10).at(0).name.tag, "1");  // the one set last is first
    EXPECT_EQ(metadata_.users().at(0).used, 8u);
    EXPECT_EQ(metadata_.remove_tags({"alice", "tools", "1"}), 1u);
    EXPECT_EQ(metadata_.remove_tags({"alice", "tools", "1"}), 0u);
    metadata_.remove_user("alice");
    EXPECT_FALSE(metadata_.find_tag({"alice", "tools", "2"}, ""));
    EXPECT_EQ(metadata_.check(), "");
}

TEST_P(MetadataTest, QuotasCountAnImageOnce) {
    const TestImage first("aaaabbbb"), second("cccc");
    add(first, State::full);
    add(second, State::full);
    EXPECT_THROW(tag("1", first), HttpError);  // no such user
    metadata_.add_user("alice", std::nullopt, 1);
    EXPECT_THROW(tag("1", first, 1, 7), HttpError);
    tag("1", first, 1, 8);
    tag("2", first, 1, 8);
    EXPECT_THROW(tag("3", second, 1, 11), HttpError);
    metadata_.add_user("alice", 12, 1);
    tag("3", second, 1, 0);
    EXPECT_THROW(metadata_.set_tag({"alice", "tools", "4"}, std::string(64, '0'), 1000, 1, false, 0), base::Error);  // no such upload
}

TEST_P(MetadataTest, SearchTakesTextAsItIs) {
    const TestImage image("aaaa");
    add(image, State::full);
    metadata_.add_user("alice", std::nullopt, 1);
    tag("1", image);
    for (const char* text : {"", "ALI", "ce/to", "tools"})
        EXPECT_EQ(metadata_.search(text, 10).size(), 1u) << text;
    for (const char* text : {"%", "_", "' OR 1=1 --", "bob"})
        EXPECT_TRUE(metadata_.search(text, 10).empty()) << text;
    EXPECT_TRUE(metadata_.search("", 0).empty());
}

TEST_P(MetadataTest, ListsRepositoriesByNameAndTagsByTime) {
    const TestImage one("aaaa"), two("bbbbb");
    add(one, State::full);
    add(two, State::full);
    for (const char* user : {"bob", "alice"}) {
        metadata_.add_user(user, std::nullopt, 1);
        for (const char* repository : {"web", "Tools", "web-2"}) {
            metadata_.set_tag({user, repository, "1"}, one.id, 1000, 1, false, 0);
            metadata_.set_tag({user, repository, "2"}, two.id, 1000, 3, false, 0);
            metadata_.set_tag({user, repository, "3"}, one.id, 1000, 2, false, 0);
        }
    }
    const auto names = [&](const std::string& text, const Name& after, size_t limit) {
        std::string found;
        for (const ListedRepository& repository : metadata_.repositories(text, "", after, limit)) {
            EXPECT_EQ(repository.newest.name.tag, "2");
            EXPECT_EQ(repository.newest.size, 5u);
            EXPECT_EQ(repository.tags, 3u);
            found += repository.newest.name.user + "/" + repository.newest.name.repository + " ";
        }
        return found;
    };
    EXPECT_EQ(names("", {}, 4), "alice/Tools alice/web alice/web-2 bob/Tools ");
    EXPECT_EQ(names("", {"alice", "web", ""}, 2), "alice/web-2 bob/Tools ");
    EXPECT_EQ(names("TOOL", {"alice", "Tools", ""}, 10), "bob/Tools ");
    EXPECT_EQ(names("%", {}, 10), "");
    const auto tags = [&](size_t skip, size_t limit) {
        std::string found;
        for (const TaggedImage& image : metadata_.tags("alice", "web", "", skip, limit))
            found += image.name.tag;
        return found;
    };
    EXPECT_EQ(tags(0, 10), "231");
    EXPECT_EQ(tags(1, 1), "3");
    EXPECT_EQ(metadata_.find_tagged({"bob", "web", "2"}, "").value().sha3, two.descriptor.sha3);
    EXPECT_FALSE(metadata_.find_tagged({"bob", "web", "4"}, ""));
    EXPECT_TRUE(metadata_.tags("carol", "web", "", 0, 10).empty());
}

TEST_P(MetadataTest, SessionsEndWithTheirTimeOrTheirToken) {
    metadata_.add_user("alice", 17, 1);
    metadata_.add_token("alice", "hash", "", 1);
    metadata_.add_token("alice", "other", "", 1);
    const int64_t first = metadata_.tokens("alice").at(0).id, second = metadata_.tokens("alice").at(1).id;
    metadata_.add_session(first, "a", 100, 1);
    metadata_.add_session(second, "b", 200, 1);
    metadata_.add_session(second + 1, "c", 200, 1);  // no such token
    EXPECT_EQ(metadata_.find_session("a", 99), "alice");
    EXPECT_FALSE(metadata_.find_session("a", 100));
    EXPECT_FALSE(metadata_.find_session("c", 1));
    EXPECT_EQ(open_again()->find_session("b", 100), "alice");
    metadata_.remove_token("alice", first);
    EXPECT_FALSE(metadata_.find_session("a", 50));
    metadata_.remove_session("b");
    EXPECT_FALSE(metadata_.find_session("b", 50));
    EXPECT_EQ(metadata_.find_user("alice").value().quota, 17u);
    EXPECT_FALSE(metadata_.find_user("bob"));
}

TEST_P(MetadataTest, TokensBelongToOneUser) {
    EXPECT_FALSE(metadata_.add_token("alice", "hash", "", 1));
    metadata_.add_user("alice", std::nullopt, 1);
    metadata_.add_user("bob", std::nullopt, 1);
    EXPECT_TRUE(metadata_.add_token("alice", "hash", "laptop", 1));
    const int64_t id = metadata_.tokens("alice").at(0).id;
    EXPECT_FALSE(metadata_.remove_token("bob", id));
    EXPECT_TRUE(metadata_.remove_token("alice", id));
    EXPECT_TRUE(metadata_.tokens("alice").empty());
}

TEST_P(MetadataTest, ExpiryLeavesTagsAndYoungOnes) {
    const TestImage old("aaaa"), young("bbbb"), tagged("cccc");
    add(old, State::full, 10);
    add(young, State::partial, 11);
    add(tagged, State::full, 5);
    metadata_.add_user("alice", std::nullopt, 1);
    tag("1", tagged);
    EXPECT_EQ(metadata_.expire(10, 100), 1u);
    EXPECT_FALSE(metadata_.find_upload(old.id));
    std::vector<std::string> removed;
    metadata_.for_unused({old.descriptor.chunks[0], young.descriptor.chunks[0], tagged.descriptor.chunks[0]},
                         [&removed](const std::string& chunk) { removed.push_back(chunk); });
    EXPECT_EQ(removed, old.descriptor.chunks);
}

// As they do while gc removes chunks, and while another connection writes.
TEST_P(MetadataTest, ReadersDoNotWaitForAWriter) {
    const TestImage image("aaaa");
    add(image, State::full);
    std::future<std::optional<std::string>> found;
    metadata_.for_unused({std::string(64, '0')}, [&](const std::string&) {
        found = std::async(std::launch::async, [&] { return metadata_.find_image(image.descriptor.sha3, ""); });
        EXPECT_EQ(found.wait_for(std::chrono::seconds(20)), std::future_status::ready);
    });
    EXPECT_EQ(found.get(), image.id);
}

// gc removes the files of chunks whose rows have gone, and fsck finds an upload that would lose its chunks so.
TEST_P(MetadataTest, AChunkStaysWithItsLastUpload) {
    const TestImage first("aaaabbbbaaaa"), second("bbbbcccc");
    add(first, State::partial, 10);
    add(second, State::partial, 11);
    const auto unused = [this] {
        std::vector<std::string> found;
        const TestImage all("aaaabbbbcccc");
        metadata_.for_unused(all.descriptor.chunks, [&](const std::string& hash) { found.push_back(hash); });
        return found;
    };
    EXPECT_TRUE(unused().empty());
    EXPECT_EQ(metadata_.expire(10, 100), 1u);
    EXPECT_EQ(unused(), std::vector{first.descriptor.chunks[0]});
    EXPECT_EQ(metadata_.expire(11, 100), 1u);
    EXPECT_EQ(unused().size(), 3u);
    EXPECT_EQ(metadata_.check(), "");
}

TEST_P(MetadataTest, ChecksItself) {
    add(TestImage("aaaabbbb"), State::partial);
    const auto change = [this](const char* sqlite, const char* postgres) {
        if (db_.empty()) {
            SQLite::Database(folder_ / "registry.sqlite", SQLite::OPEN_READWRITE).exec(sqlite);
        } else {
            postgres::Connection(db_, std::chrono::seconds(0)).execute(postgres);
        }
    };
    change("INSERT INTO chunks (sha256) VALUES (x'00')", "INSERT INTO chunks (sha256) VALUES ('\\x00')");
    EXPECT_EQ(metadata_.check(), "a chunk is in no upload\n");
    change("DELETE FROM chunks WHERE sha256 = x'00'; DELETE FROM upload_chunks",
           "DELETE FROM chunks WHERE sha256 = '\\x00'; DELETE FROM upload_chunks");
    EXPECT_EQ(metadata_.check(), "an upload has no chunks\n");
}

TEST_P(MetadataTest, AnyBytesAreNames) {
    metadata_.add_user("alice", std::nullopt, 1);
    EXPECT_TRUE(metadata_.add_token("alice", "hash", std::string("a\0b\xFF\xC0\xAF\xED\xA0\x80", 8), 1));
    for (const std::string& name : {std::string("alice\0", 6), std::string("alice\0x", 7), std::string("\xFF"), std::string("\xE2\x82")}) {
        EXPECT_TRUE(metadata_.tokens(name).empty());
        EXPECT_TRUE(metadata_.search(name, 10).empty());
        EXPECT_FALSE(metadata_.find_tag({name, name, name}, ""));
        EXPECT_FALSE(metadata_.remove_user(name));
    }
}

TEST_P(MetadataTest, AnAddressPushesSoOftenInAnHour) {
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(metadata_.count_push("192.0.2.1", 3), 0u);
    const unsigned wait = metadata_.count_push("192.0.2.1", 3);
    EXPECT_GT(wait, 1190u);
    EXPECT_LE(wait, 1200u);
    EXPECT_EQ(metadata_.count_push("192.0.2.2", 3), 0u);
}

TEST_P(MetadataTest, OpensAnEmptyDataBaseAtOnceFromSeveral) {
    const std::filesystem::path folder = folder_ / "new";
    std::filesystem::create_directory(folder);
    const std::string db = db_.empty() ? "" : new_postgres();
    std::vector<std::future<std::unique_ptr<Metadata>>> several;
    constexpr int kSeveral = 8;
    several.reserve(kSeveral);
    for (int i = 0; i < kSeveral; i++)
        several.push_back(std::async(std::launch::async, [&] { return open_metadata(folder, db); }));
    for (auto& one : several)
        EXPECT_EQ(one.get()->check(), "");
}

TEST(OpenMetadata, SaysWhatIsNoDataBase) {
    const std::filesystem::path folder = testing::TempDir();
    std::ofstream(folder / "registry.sqlite") << std::string(10000, 'x');
    EXPECT_THROW((void)open_metadata(folder, ""), base::Error);
    EXPECT_THROW((void)open_metadata(folder / "missing", ""), base::Error);
    std::filesystem::remove(folder / "registry.sqlite");
    EXPECT_THROW((void)open_metadata(folder, "http://localhost/x"), base::Error);
    EXPECT_THROW((void)open_metadata(folder, "postgres://gvmkit@/x?host=/nowhere"), http::TransientError);
}

}  // namespace
}  // namespace registry::server
