#include "registry/server/postgres_schema.h"

#include <spdlog/spdlog.h>

#include <iterator>
#include <string>

#include "base/error.h"

namespace registry::server::postgres {
namespace {

// Names compare and sort as bytes, as SQLite has them, whatever the data base's language is. Columns are named as in SQLite's schema.cpp,
// but for "user", which is a word of SQL.
//
// The trigger removes the row of a chunk with its last upload. What is in `receiving` and `pushes` may be lost in a crash.
constexpr const char* kFirstSchema = R"(
CREATE TABLE users (
    name TEXT COLLATE "C" PRIMARY KEY,
    quota BIGINT,
    created BIGINT NOT NULL
);
CREATE TABLE tokens (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_name TEXT COLLATE "C" NOT NULL REFERENCES users ON DELETE CASCADE,
    hash TEXT NOT NULL,
    note TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX tokens_user ON tokens (user_name);
CREATE TABLE uploads (
    id TEXT COLLATE "C" PRIMARY KEY,
    number BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    descriptor BYTEA NOT NULL,
    sha3 TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    state SMALLINT NOT NULL DEFAULT 0,
    uses BIGINT NOT NULL DEFAULT 0,
    touched BIGINT NOT NULL,
    known BOOLEAN NOT NULL DEFAULT false,
    stored BIGINT NOT NULL DEFAULT 0,
    claimed_by TEXT,
    claimed_until TIMESTAMPTZ,
    woken BOOLEAN NOT NULL DEFAULT false
);
CREATE INDEX uploads_sha3 ON uploads (sha3);
CREATE INDEX uploads_touched ON uploads (touched);
CREATE INDEX uploads_partial ON uploads (id) WHERE state = 0;
CREATE INDEX uploads_anonymous ON uploads (stored) WHERE NOT known;
CREATE INDEX uploads_woken ON uploads (id) WHERE woken;
CREATE TABLE chunks (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256 BYTEA NOT NULL UNIQUE
);
CREATE TABLE upload_chunks (
    chunk BIGINT NOT NULL REFERENCES chunks,
    upload BIGINT NOT NULL REFERENCES uploads (number) ON DELETE CASCADE,
    PRIMARY KEY (chunk, upload)
);
CREATE INDEX upload_chunks_upload ON upload_chunks (upload);
CREATE FUNCTION remove_unused_chunks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM chunks WHERE id IN (SELECT chunk FROM gone) AND NOT EXISTS (SELECT 1 FROM upload_chunks WHERE chunk = chunks.id);
    RETURN NULL;
END $$;
CREATE TRIGGER upload_chunks_deleted AFTER DELETE ON upload_chunks REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION remove_unused_chunks();
CREATE TABLE repositories (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_name TEXT COLLATE "C" NOT NULL REFERENCES users ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    UNIQUE (user_name, name)
);
CREATE TABLE tags (
    repository BIGINT NOT NULL REFERENCES repositories ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    upload TEXT COLLATE "C" NOT NULL REFERENCES uploads,
    changed BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);
CREATE INDEX tags_upload ON tags (upload);
CREATE TABLE blocked (
    hash TEXT COLLATE "C" PRIMARY KEY,
    reason TEXT NOT NULL
);
CREATE UNLOGGED TABLE receiving (
    server TEXT PRIMARY KEY,
    bytes BIGINT NOT NULL,
    anonymous BIGINT NOT NULL,
    until TIMESTAMPTZ NOT NULL
);
CREATE UNLOGGED TABLE pushes (
    address TEXT PRIMARY KEY,
    remaining DOUBLE PRECISION NOT NULL,
    filled TIMESTAMPTZ NOT NULL
);
)";

constexpr const char* kMirror = R"(
CREATE TABLE mirrored (
    upload TEXT COLLATE "C" PRIMARY KEY REFERENCES uploads ON DELETE CASCADE,
    used BIGINT NOT NULL
);
CREATE TABLE mirrored_tags (
    tag TEXT COLLATE "C" PRIMARY KEY,
    sha3 TEXT COLLATE "C" NOT NULL,
    asked BIGINT NOT NULL
);
)";

// A repository's tags, those set last first.
constexpr const char* kTagsByTime = "CREATE INDEX tags_changed ON tags (repository, changed DESC, name)";

// As SQLite's.
constexpr const char* kSessions = R"(
CREATE TABLE sessions (
    hash TEXT COLLATE "C" PRIMARY KEY,
    token BIGINT NOT NULL REFERENCES tokens ON DELETE CASCADE,
    expires BIGINT NOT NULL
);
CREATE INDEX sessions_token ON sessions (token);
CREATE INDEX sessions_expires ON sessions (expires);
)";

// As SQLite's.
constexpr const char* kPrivate = R"(
ALTER TABLE repositories ADD COLUMN private BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE repositories ADD COLUMN links BIGINT NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN hidden BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE uploads ADD COLUMN pusher TEXT COLLATE "C";
UPDATE uploads SET pusher = (SELECT MAX(user_name) FROM tags JOIN repositories ON repositories.id = repository WHERE upload = uploads.id
    HAVING COUNT(DISTINCT user_name) = 1) WHERE known;
CREATE TABLE secrets (
    name TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);
)";

// As SQLite's.
constexpr const char* kRules = R"(
ALTER TABLE repositories ADD COLUMN kept BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE repositories ADD COLUMN immutable BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE repositories ADD COLUMN keep BIGINT NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN keep_younger BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tags ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
CREATE INDEX tags_expires ON tags (expires) WHERE expires > 0;
CREATE INDEX uploads_expires ON uploads (expires) WHERE expires > 0;
)";

// As SQLite's.
constexpr const char* kComposed = R"(
CREATE TABLE composed (
    upload TEXT COLLATE "C" PRIMARY KEY,
    object TEXT COLLATE "C" NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    state SMALLINT NOT NULL DEFAULT 0,
    used BIGINT NOT NULL,
    until BIGINT NOT NULL
);
)";

// Step N brings a data base of version N to the next one; one without tables has version 0.
constexpr const char* kSteps[] = {kFirstSchema, kMirror, kTagsByTime, kSessions, kPrivate, kRules, kComposed};

constexpr int64_t kMigrationLock = 0x67766d6b69740001;  // of pg_advisory_xact_lock

int version_of(Connection& connection) {
    // Not to_regclass(), which may remember that there was none before we got the lock.
    const Rows tables =
        connection.execute("SELECT 1 FROM pg_tables WHERE tablename = 'gvmkit_registry' AND schemaname = ANY (current_schemas(false))");
    if (tables.count() == 0) return 0;
    return static_cast<int>(connection.execute("SELECT version FROM gvmkit_registry").number(0, 0));
}

}  // namespace

void prepare_schema(Connection& connection) {
    const int newest = static_cast<int>(std::size(kSteps));
    if (version_of(connection) == newest) return;
    connection.execute("BEGIN; SET LOCAL lock_timeout = 0");
    connection.query("SELECT pg_advisory_xact_lock($1)", kMigrationLock);
    const int found = version_of(connection);  // again: another program may have been faster
    if (found > newest) throw base::Error("the registry's data base is of a newer gvmkit-registry: version " + std::to_string(found));
    if (found == 0) connection.execute("CREATE TABLE gvmkit_registry (version INTEGER NOT NULL); INSERT INTO gvmkit_registry VALUES (0)");
    for (int version = found; version < newest; version++)
        connection.execute(kSteps[version]);
    connection.query("UPDATE gvmkit_registry SET version = $1", static_cast<int64_t>(newest));
    connection.execute("COMMIT");
    if (found < newest) spdlog::info("the data base is brought from version {} to {}", found, newest);
}

}  // namespace registry::server::postgres
