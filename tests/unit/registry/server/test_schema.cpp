#include "registry/server/schema.h"

#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "fixture.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {
namespace {

constexpr int kNewest = 8;

// A database of version 1, filled by that version's statements.
class SchemaTest : public Registry {
protected:
    SchemaTest() : file_(folder_ / "old.sqlite"), old_(file_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
        constexpr size_t kMaxSchema = 1 << 16;
        old_.exec(base::read_file(VERSION_1, kMaxSchema));
    }

    void add_old(const TestImage& image, State state, Time now = 1) {
        SQLite::Statement add(old_, "INSERT INTO uploads (id, descriptor, sha3, size, state, touched) VALUES (?, ?, ?, ?, ?, ?)");
        add.bind(1, image.id);
        add.bind(2, image.bytes.data(), static_cast<int>(image.bytes.size()));
        add.bind(3, image.descriptor.sha3);
        add.bind(4, static_cast<int64_t>(image.descriptor.size));
        add.bind(5, static_cast<int>(state));
        add.bind(6, now);
        add.exec();
        for (const std::string& chunk : image.descriptor.chunks) {
            SQLite::Statement tie(old_, "INSERT OR IGNORE INTO upload_chunks (chunk, upload) VALUES (?, ?)");
            tie.bind(1, chunk);
            tie.bind(2, image.id);
            tie.exec();
        }
    }

    void tag_old(const TestImage& image) {
        old_.exec("INSERT OR IGNORE INTO users VALUES ('alice', NULL, 0); INSERT OR IGNORE INTO repositories VALUES (1, 'alice', 'tools')");
        old_.exec("INSERT INTO tags VALUES (1, '1', '" + image.id + "', 0)");
    }

    int64_t count(const std::string& what) { return old_.execAndGet("SELECT COUNT(*) FROM " + what).getInt64(); }
    int version() { return old_.execAndGet("PRAGMA user_version").getInt(); }

    std::filesystem::path file_;
    SQLite::Database old_;
};

std::vector<std::string> unused(SqliteMetadata& metadata, const std::vector<std::string>& chunks) {
    std::vector<std::string> found;
    metadata.for_unused(chunks, [&found](const std::string& chunk) { found.push_back(chunk); });
    return found;
}

TEST_F(SchemaTest, TiesChunksByTheirNumbers) {
    const TestImage tagged("aaaabbbbaaaacccc"), anonymous("bbbbcccc"), single("dddd");
    for (const TestImage* image : {&tagged, &anonymous, &single})
        add_old(*image, State::full);
    tag_old(tagged);
    SqliteMetadata metadata(file_);
    EXPECT_EQ(version(), kNewest);
    EXPECT_EQ(count("chunks"), 4) << "each once, although two are in two uploads and one twice in one";
    EXPECT_EQ(count("upload_chunks"), 3 + 2 + 1);
    EXPECT_EQ(metadata.check(), "");
    EXPECT_EQ(serialize(metadata.find_upload(tagged.id).value().descriptor), tagged.bytes);
    EXPECT_EQ(metadata.find_tag({"alice", "tools", "1"}, ""), tagged.id);
    metadata.block(single.descriptor.chunks[0], "");
    EXPECT_EQ(metadata.find_image(single.descriptor.sha3, ""), single.id);

    // What only the others had goes with them, and a new upload gets its own number.
    EXPECT_EQ(metadata.expire(1, 100), 2u);
    EXPECT_EQ(count("chunks"), 3);
    const TestImage later("cccceeee");
    metadata.add_upload(later.id, later.descriptor, 2, 0);
    EXPECT_EQ(unused(metadata, single.descriptor.chunks), single.descriptor.chunks);
    EXPECT_TRUE(unused(metadata, tagged.descriptor.chunks).empty());
    EXPECT_TRUE(unused(metadata, later.descriptor.chunks).empty());
    EXPECT_EQ(metadata.check(), "");
}

TEST_F(SchemaTest, TakesTheFirstVersionToo) {
    const TestImage tagged("aaaa"), anonymous("bbbbcc"), partial("dddd");
    old_.exec(
        "DROP INDEX uploads_anonymous; DROP INDEX uploads_touched; ALTER TABLE uploads DROP COLUMN known; "
        "ALTER TABLE uploads DROP COLUMN stored; PRAGMA user_version = 0");
    add_old(tagged, State::full);
    add_old(anonymous, State::full);
    add_old(partial, State::partial);
    tag_old(tagged);
    SqliteMetadata metadata(file_);
    EXPECT_TRUE(metadata.find_upload(tagged.id)->known);
    EXPECT_FALSE(metadata.find_upload(anonymous.id)->known);
    EXPECT_EQ(metadata.find_upload(partial.id)->stored, 0u);
    EXPECT_EQ(metadata.anonymous_bytes(), 6u);
    EXPECT_EQ(metadata.check(), "");
}

TEST_F(SchemaTest, LeavesWhatItCannotBringUpToDate) {
    const TestImage image("aaaabbbb");
    add_old(image, State::full);
    old_.exec("INSERT INTO upload_chunks SELECT 'no hash', id FROM uploads");
    EXPECT_THROW(SqliteMetadata{file_}, base::Error);
    EXPECT_EQ(version(), 1);
    EXPECT_EQ(count("upload_chunks WHERE chunk = '" + image.descriptor.chunks[1] + "'"), 1);
    EXPECT_EQ(count("sqlite_master WHERE name IN ('chunks', 'text_chunks')"), 0);
    old_.exec("DELETE FROM upload_chunks WHERE chunk = 'no hash'");
    EXPECT_EQ(SqliteMetadata(file_).check(), "");
}

TEST_F(SchemaTest, IsDoneOnceBySeveral) {
    for (int i = 0; i < 50; i++)
        add_old(TestImage("aaaa" + std::to_string(i)), State::partial);
    std::vector<std::thread> several;
    several.reserve(4);
    for (int i = 0; i < 4; i++)
        several.emplace_back([this] { EXPECT_EQ(SqliteMetadata(file_).check(), ""); });
    for (std::thread& each : several)
        each.join();
    EXPECT_EQ(version(), kNewest);
}

TEST_F(SchemaTest, RefusesANewerOne) {
    old_.exec("PRAGMA user_version = 1000");
    EXPECT_THROW(SqliteMetadata{file_}, base::Error);
    EXPECT_EQ(version(), 1000);
}

}  // namespace
}  // namespace registry::server
