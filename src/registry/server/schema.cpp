#include "registry/server/schema.h"

#include <spdlog/spdlog.h>
#include <sqlite3.h>

#include <chrono>
#include <string>

#include "base/error.h"
#include "registry/descriptor.h"

namespace registry::server {
namespace {

// Of version 0. A new database gets it too, and then every step, so that all of them are the same.
constexpr const char* kFirstSchema = R"(
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    quota INTEGER,
    created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    hash TEXT NOT NULL,
    note TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS tokens_user ON tokens (user);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    descriptor BLOB NOT NULL,
    sha3 TEXT NOT NULL,
    size INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    uses INTEGER NOT NULL DEFAULT 0,
    touched INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS uploads_sha3 ON uploads (sha3);
CREATE TABLE IF NOT EXISTS upload_chunks (
    chunk TEXT NOT NULL,
    upload TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE,
    PRIMARY KEY (chunk, upload)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS upload_chunks_upload ON upload_chunks (upload);
CREATE TABLE IF NOT EXISTS repositories (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    name TEXT NOT NULL,
    UNIQUE (user, name)
) STRICT;
CREATE TABLE IF NOT EXISTS tags (
    repository INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    name TEXT NOT NULL,
    upload TEXT NOT NULL REFERENCES uploads,
    changed INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tags_upload ON tags (upload);
CREATE TABLE IF NOT EXISTS blocked (
    hash TEXT PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;
)";

constexpr const char* kAnonymousQuota = R"(
ALTER TABLE uploads ADD COLUMN known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET known = EXISTS (SELECT 1 FROM tags WHERE upload = uploads.id), stored = CASE state WHEN 1 THEN size ELSE 0 END;
CREATE INDEX uploads_anonymous ON uploads (stored) WHERE known = 0;
CREATE INDEX uploads_touched ON uploads (touched);
)";

// A chunk's row exists as long as an upload has it: the trigger sees to it, also where an upload takes its ties along.
// Chunks are numbered by their first uploads, as add_upload does it, so that an upload's rows lie together. SQLite sorts by files, and
// every tree is written from one end to the other, so the memory does not grow with the rows. At this point an upload's number is its
// rowid, which the index of ids has; to read the row itself would be to read its descriptor.
constexpr const char* kIntegerChunks = R"(
ALTER TABLE uploads ADD COLUMN number INTEGER;
UPDATE uploads SET number = rowid;
CREATE UNIQUE INDEX uploads_number ON uploads (number);
ALTER TABLE upload_chunks RENAME TO text_chunks;
DROP INDEX upload_chunks_upload;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL
) STRICT;
INSERT INTO chunks (sha256) SELECT hash_bytes(chunk) FROM text_chunks CROSS JOIN uploads ON uploads.id = upload GROUP BY chunk
    ORDER BY MIN(uploads.rowid);
CREATE UNIQUE INDEX chunks_sha256 ON chunks (sha256);
CREATE TABLE upload_chunks (
    chunk INTEGER NOT NULL REFERENCES chunks,
    upload INTEGER NOT NULL REFERENCES uploads (number) ON DELETE CASCADE,
    PRIMARY KEY (chunk, upload)
) STRICT, WITHOUT ROWID;
INSERT INTO upload_chunks SELECT chunks.id, uploads.rowid FROM text_chunks CROSS JOIN chunks ON sha256 = hash_bytes(chunk)
    CROSS JOIN uploads ON uploads.id = upload ORDER BY chunks.id, uploads.rowid;
DROP TABLE text_chunks;
CREATE INDEX upload_chunks_upload ON upload_chunks (upload);
CREATE TRIGGER upload_chunks_deleted AFTER DELETE ON upload_chunks BEGIN
    DELETE FROM chunks WHERE id = OLD.chunk AND NOT EXISTS (SELECT 1 FROM upload_chunks WHERE chunk = OLD.chunk);
END;
)";

constexpr const char* kMirror = R"(
CREATE TABLE mirrored (
    upload TEXT PRIMARY KEY REFERENCES uploads ON DELETE CASCADE,
    used INTEGER NOT NULL
) STRICT;
CREATE TABLE mirrored_tags (
    tag TEXT PRIMARY KEY,
    sha3 TEXT NOT NULL,
    asked INTEGER NOT NULL
) STRICT;
)";

// A repository's tags, those set last first.
constexpr const char* kTagsByTime = "CREATE INDEX tags_changed ON tags (repository, changed DESC, name)";

// Who is signed in on the page. The user is the token's, and a session goes with its token.
constexpr const char* kSessions = R"(
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    token INTEGER NOT NULL REFERENCES tokens ON DELETE CASCADE,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_token ON sessions (token);
CREATE INDEX sessions_expires ON sessions (expires);
)";

// Private repositories (docs/spec/registry.md). `pusher`: the user who asked first for a name of an upload while it was not there as a
// whole.
constexpr const char* kPrivate = R"(
ALTER TABLE repositories ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN links INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN pusher TEXT;
UPDATE uploads SET pusher = (SELECT MAX(user) FROM tags JOIN repositories ON repositories.id = repository WHERE upload = uploads.id
    HAVING COUNT(DISTINCT user) = 1) WHERE known = 1;
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
)";

// What is kept, and for how long. `kept`: a repository that stays without a tag. `expires`: 0 where there is no time.
constexpr const char* kRules = R"(
ALTER TABLE repositories ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN immutable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN keep INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN keep_younger INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tags ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tags_expires ON tags (expires) WHERE expires > 0;
CREATE INDEX uploads_expires ON uploads (expires) WHERE expires > 0;
)";

// Images as objects in the store. `state`: 0: being written, while the claim lasts; 1: whole; 2: to be removed. An upload may go before its
// object does, so the row does not refer to it.
constexpr const char* kComposed = R"(
CREATE TABLE composed (
    upload TEXT PRIMARY KEY,
    object TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)";

// Step N brings a database of version N (PRAGMA user_version) to the next one.
constexpr const char* kSteps[] = {kAnonymousQuota, kIntegerChunks, kMirror, kTagsByTime, kSessions, kPrivate, kRules, kComposed};

// SQL's hash_bytes(TEXT): SQLite has an unhex() only since 3.41.
void hash_bytes(sqlite3_context* context, int, sqlite3_value** arguments) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(arguments[0]));
    try {
        const std::string bytes = from_hex(text ? text : "");
        sqlite3_result_blob(context, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
    } catch (const base::Error& e) {
        sqlite3_result_error(context, e.what(), -1);
    }
}

int version_of(SQLite::Database& db) {
    return db.execAndGet("PRAGMA user_version").getInt();
}

}  // namespace

void prepare_schema(SQLite::Database& db) {
    const int newest = static_cast<int>(std::size(kSteps));
    if (version_of(db) == newest) return;
    const auto start = std::chrono::steady_clock::now();
    bool is_new = false;
    {
        SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
        int version = version_of(db);  // again: another process may have been faster
        if (version > newest)
            throw base::Error("the registry's data base is of a newer gvmkit-registry: version " + std::to_string(version));
        if (version == newest) return;
        is_new = !db.tableExists("uploads");
        if (!is_new)
            spdlog::info("bringing the data base from version {} to {}; this can take a minute for each million chunks", version, newest);
        if (version == 0) db.exec(kFirstSchema);
        db.createFunction("hash_bytes", 1, true, nullptr, hash_bytes);
        for (; version < newest; version++)
            db.exec(kSteps[version]);
        db.exec("PRAGMA user_version = " + std::to_string(version));
        transaction.commit();
    }
    if (is_new) return;
    // The log has grown by all that was written; others may be reading, and then it stays until the next time.
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    spdlog::info("the data base is up to date after {:.1f} s",
                 std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace registry::server
