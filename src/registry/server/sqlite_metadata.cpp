#include "registry/server/sqlite_metadata.h"

#include <limits>

#include "base/error.h"
#include "registry/server/errors.h"

namespace registry::server {
namespace {

constexpr int kBusyTimeoutMs = 20'000;  // gc holds the write lock while it removes a few hundred files

constexpr const char* kSchema = R"(
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

// Step N brings a database of version N (PRAGMA user_version) to the next one.
constexpr const char* kMigrations[] = {
    R"(ALTER TABLE uploads ADD COLUMN known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET known = EXISTS (SELECT 1 FROM tags WHERE upload = uploads.id), stored = CASE state WHEN 1 THEN size ELSE 0 END;
CREATE INDEX uploads_anonymous ON uploads (stored) WHERE known = 0;
CREATE INDEX uploads_touched ON uploads (touched);)"};

void migrate(SQLite::Database& db) {
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    int version = db.execAndGet("PRAGMA user_version").getInt();
    const int newest = static_cast<int>(std::size(kMigrations));
    if (version > newest) throw base::Error("the registry's data base is of a newer gvmkit-registry: version " + std::to_string(version));
    for (; version < newest; version++)
        db.exec(kMigrations[version]);
    db.exec("PRAGMA user_version = " + std::to_string(version));
    transaction.commit();
}

int64_t number(uint64_t value) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) throw base::Error("a number is too large");
    return static_cast<int64_t>(value);
}

uint64_t unsigned_at(SQLite::Statement& row, int column) {
    return static_cast<uint64_t>(row.getColumn(column).getInt64());
}

// A prepared statement with its values bound in order.
template <typename... Values>
SQLite::Statement query(SQLite::Database& db, const char* sql, const Values&... values) {
    SQLite::Statement statement(db, sql);
    int index = 0;
    (statement.bind(++index, values), ...);
    return statement;
}

template <typename... Values>
uint64_t change(SQLite::Database& db, const char* sql, const Values&... values) {
    return static_cast<uint64_t>(query(db, sql, values...).exec());
}

std::vector<std::string> texts(SQLite::Statement rows) {
    std::vector<std::string> all;
    while (rows.executeStep())
        all.push_back(rows.getColumn(0).getString());
    return all;
}

std::optional<std::string> first_text(SQLite::Statement rows) {
    if (!rows.executeStep()) return std::nullopt;
    return rows.getColumn(0).getString();
}

// The bytes of the images that a user's tags name, including `id`.
uint64_t used_with(SQLite::Database& db, const std::string& user, const std::string& id) {
    SQLite::Statement sum =
        query(db,
              "SELECT COALESCE(SUM(size), 0) FROM uploads WHERE id = ?1 OR id IN (SELECT upload FROM tags JOIN repositories ON "
              "repositories.id = repository WHERE user = ?2)",
              id, user);
    sum.executeStep();
    return unsigned_at(sum, 0);
}

}  // namespace

// One connection, one thread at a time: each of these takes microseconds.
template <typename F>
auto SqliteMetadata::locked(F f) {
    const std::lock_guard lock(mutex_);
    try {
        return f();
    } catch (const SQLite::Exception& e) {
        throw base::Error(std::string("the registry's data base: ") + e.what());
    }
}

SqliteMetadata::SqliteMetadata(const std::filesystem::path& file)
    : db_([&file] {
          try {
              return SQLite::Database(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs);
          } catch (const SQLite::Exception& e) {
              throw base::Error("cannot open " + file.string() + ": " + e.what());
          }
      }()) {
    locked([&] {
        db_.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
        db_.exec(kSchema);
        migrate(db_);
    });
}

void SqliteMetadata::add_upload(const std::string& id, const Descriptor& descriptor, Time now) {
    const std::string bytes = serialize(descriptor);
    locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement add(
            db_, "INSERT INTO uploads (id, descriptor, sha3, size, touched) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
        add.bind(1, id);
        add.bind(2, bytes.data(), static_cast<int>(bytes.size()));
        add.bind(3, descriptor.sha3);
        add.bind(4, number(descriptor.size));
        add.bind(5, now);
        if (add.exec() == 0) return;
        SQLite::Statement chunk(db_, "INSERT OR IGNORE INTO upload_chunks (chunk, upload) VALUES (?, ?)");
        for (const std::string& sha256 : descriptor.chunks) {
            chunk.bind(1, sha256);
            chunk.bind(2, id);
            chunk.exec();
            chunk.reset();
        }
        transaction.commit();
    });
}

std::optional<Upload> SqliteMetadata::find_upload(const std::string& id) {
    return locked([&]() -> std::optional<Upload> {
        SQLite::Statement row = query(db_, "SELECT descriptor, state, uses, known, stored FROM uploads WHERE id = ?", id);
        if (!row.executeStep()) return std::nullopt;
        Upload upload;
        upload.id = id;
        const SQLite::Column bytes = row.getColumn(0);
        upload.descriptor = parse_descriptor({static_cast<const std::byte*>(bytes.getBlob()), static_cast<size_t>(bytes.getBytes())});
        upload.state = static_cast<State>(row.getColumn(1).getInt());
        upload.uses = unsigned_at(row, 2);
        upload.known = row.getColumn(3).getInt() != 0;
        upload.stored = unsigned_at(row, 4);
        return upload;
    });
}

void SqliteMetadata::set_state(const std::string& id, State state, Time now) {
    locked([&] { change(db_, "UPDATE uploads SET state = ?, touched = ? WHERE id = ?", static_cast<int>(state), now, id); });
}

void SqliteMetadata::set_known(const std::string& id) {
    locked([&] { change(db_, "UPDATE uploads SET known = 1 WHERE id = ? AND known = 0", id); });
}

void SqliteMetadata::add_stored(const std::string& id, uint64_t bytes) {
    locked([&] { change(db_, "UPDATE uploads SET stored = stored + ? WHERE id = ?", number(bytes), id); });
}

uint64_t SqliteMetadata::anonymous_bytes() {
    return locked([&] {
        SQLite::Statement sum(db_, "SELECT COALESCE(SUM(stored), 0) FROM uploads WHERE known = 0");
        sum.executeStep();
        return unsigned_at(sum, 0);
    });
}

void SqliteMetadata::add_uses(const std::string& id, uint64_t uses) {
    locked([&] { change(db_, "UPDATE uploads SET uses = uses + ? WHERE id = ?", number(uses), id); });
}

std::vector<std::string> SqliteMetadata::uploads(State state) {
    return locked([&] { return texts(query(db_, "SELECT id FROM uploads WHERE state = ?", static_cast<int>(state))); });
}

std::optional<std::string> SqliteMetadata::find_image(const std::string& sha3) {
    return locked([&] {
        // A stranger may upload the same image in other chunks: a known user's upload counts before it, and one that is served before both.
        return first_text(
            query(db_,
                  "SELECT id FROM uploads WHERE sha3 = ? AND state = ? ORDER BY id IN (SELECT hash FROM blocked) OR EXISTS "
                  "(SELECT 1 FROM upload_chunks WHERE upload = uploads.id AND chunk IN (SELECT hash FROM blocked)), NOT EXISTS "
                  "(SELECT 1 FROM tags WHERE upload = uploads.id), id LIMIT 1",
                  sha3, static_cast<int>(State::full)));
    });
}

uint64_t SqliteMetadata::expire(Time before, uint64_t limit) {
    return locked([&] {
        return change(db_,
                      "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE touched <= ? AND NOT EXISTS (SELECT 1 FROM tags WHERE "
                      "upload = uploads.id) LIMIT ?)",
                      before, number(limit));
    });
}

void SqliteMetadata::for_unused(const std::vector<std::string>& chunks, const std::function<void(const std::string&)>& remove) {
    locked([&] {
        const SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        for (const std::string& chunk : chunks) {
            if (!query(db_, "SELECT 1 FROM upload_chunks WHERE chunk = ?", chunk).executeStep()) remove(chunk);
        }
    });
}

std::optional<std::string> SqliteMetadata::find_tag(const Name& name) {
    return locked([&] {
        return first_text(query(db_,
                                "SELECT upload FROM tags JOIN repositories ON repositories.id = repository WHERE user = ? AND "
                                "repositories.name = ? AND tags.name = ?",
                                name.user, name.repository, name.tag));
    });
}

void SqliteMetadata::set_tag(const Name& name, const std::string& id, uint64_t default_quota, Time now, bool only_check) {
    locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement user = query(db_, "SELECT quota FROM users WHERE name = ?", name.user);
        if (!user.executeStep()) throw HttpError(http::kForbidden, "there is no such user");
        const uint64_t quota = user.getColumn(0).isNull() ? default_quota : unsigned_at(user, 0);
        user.reset();
        const uint64_t used = used_with(db_, name.user, id);
        if (used > quota) {
            throw HttpError(http::kForbidden, "with this image there would be " + std::to_string(used) + " bytes in " + name.user +
                                                  "'s repositories, more than the quota of " + std::to_string(quota));
        }
        if (only_check) return;
        change(db_, "INSERT OR IGNORE INTO repositories (user, name) VALUES (?, ?)", name.user, name.repository);
        change(db_,
               "INSERT INTO tags (repository, name, upload, changed) SELECT id, ?, ?, ? FROM repositories WHERE user = ? AND name = ? ON "
               "CONFLICT DO UPDATE SET upload = excluded.upload, changed = excluded.changed",
               name.tag, id, now, name.user, name.repository);
        transaction.commit();
    });
}

uint64_t SqliteMetadata::remove_tags(const Name& name) {
    return locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        const uint64_t removed =
            change(db_,
                   "DELETE FROM tags WHERE repository = (SELECT id FROM repositories WHERE user = ?1 AND name = ?2) AND "
                   "(name = ?3 OR ?3 = '')",
                   name.user, name.repository, name.tag);
        change(db_, "DELETE FROM repositories WHERE NOT EXISTS (SELECT 1 FROM tags WHERE repository = id)");
        transaction.commit();
        return removed;
    });
}

std::vector<TaggedImage> SqliteMetadata::tagged(const char* condition, const std::string& a, const std::string& b, int64_t limit) {
    return locked([&] {
        const std::string sql = std::string(
                                    "SELECT user, repositories.name, tags.name, uploads.id, sha3, size, uses, changed FROM tags JOIN "
                                    "repositories ON repositories.id = repository JOIN uploads ON uploads.id = upload WHERE ") +
                                condition + " ORDER BY user, repositories.name, changed DESC, tags.name LIMIT ?3";
        SQLite::Statement rows = query(db_, sql.c_str(), a, b, limit);
        std::vector<TaggedImage> all;
        while (rows.executeStep()) {
            const auto text = [&rows](int column) { return rows.getColumn(column).getString(); };
            all.push_back({.name = {.user = text(0), .repository = text(1), .tag = text(2)},
                           .id = text(3),
                           .sha3 = text(4),
                           .size = unsigned_at(rows, 5),
                           .uses = unsigned_at(rows, 6),
                           .changed = rows.getColumn(7).getInt64()});
        }
        return all;
    });
}

std::vector<TaggedImage> SqliteMetadata::search(const std::string& text, size_t limit) {
    // instr, not LIKE, in which % and _ have a meaning.
    return tagged("instr(lower(user || '/' || repositories.name), lower(?1)) > 0 AND ?2 = ''", text, "", number(limit));
}

std::vector<TaggedImage> SqliteMetadata::tags(const std::string& user, const std::string& repository) {
    constexpr int64_t kLimit = 1000;
    return tagged("user = ?1 AND repositories.name = ?2", user, repository, kLimit);
}

void SqliteMetadata::add_user(const std::string& name, std::optional<uint64_t> quota, Time now) {
    locked([&] {
        SQLite::Statement add(db_,
                              "INSERT INTO users (name, quota, created) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET quota = excluded.quota");
        add.bind(1, name);
        if (quota) add.bind(2, number(*quota));
        add.bind(3, now);
        add.exec();
    });
}

bool SqliteMetadata::remove_user(const std::string& name) {
    return locked([&] { return change(db_, "DELETE FROM users WHERE name = ?", name) > 0; });
}

std::vector<User> SqliteMetadata::users() {
    return locked([&] {
        std::vector<User> all;
        SQLite::Statement rows(db_, "SELECT name, quota FROM users ORDER BY name");
        while (rows.executeStep()) {
            User user;
            user.name = rows.getColumn(0).getString();
            if (!rows.getColumn(1).isNull()) user.quota = unsigned_at(rows, 1);
            user.used = used_with(db_, user.name, "");
            all.push_back(std::move(user));
        }
        return all;
    });
}

bool SqliteMetadata::add_token(const std::string& user, const std::string& hash, const std::string& note, Time now) {
    return locked([&] {
        return change(db_, "INSERT INTO tokens (user, hash, note, created) SELECT name, ?, ?, ? FROM users WHERE name = ?", hash, note, now,
                      user) > 0;
    });
}

std::vector<Token> SqliteMetadata::tokens(const std::string& user) {
    return locked([&] {
        std::vector<Token> all;
        SQLite::Statement rows = query(db_, "SELECT id, hash, note, created FROM tokens WHERE user = ? ORDER BY id", user);
        while (rows.executeStep()) {
            all.push_back({.id = rows.getColumn(0).getInt64(),
                           .hash = rows.getColumn(1).getString(),
                           .note = rows.getColumn(2).getString(),
                           .created = rows.getColumn(3).getInt64()});
        }
        return all;
    });
}

bool SqliteMetadata::remove_token(const std::string& user, int64_t id) {
    return locked([&] { return change(db_, "DELETE FROM tokens WHERE user = ? AND id = ?", user, id) > 0; });
}

void SqliteMetadata::block(const std::string& hash, const std::string& reason) {
    locked([&] {
        change(db_, "INSERT INTO blocked (hash, reason) VALUES (?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason", hash, reason);
    });
}

bool SqliteMetadata::unblock(const std::string& hash) {
    return locked([&] { return change(db_, "DELETE FROM blocked WHERE hash = ?", hash) > 0; });
}

std::optional<std::string> SqliteMetadata::find_blocked(const std::vector<std::string>& hashes) {
    return locked([&]() -> std::optional<std::string> {
        SQLite::Statement find(db_, "SELECT 1 FROM blocked WHERE hash = ?");
        for (const std::string& hash : hashes) {
            find.bind(1, hash);
            if (find.executeStep()) return hash;
            find.reset();
        }
        return std::nullopt;
    });
}

std::vector<std::pair<std::string, std::string>> SqliteMetadata::blocked() {
    return locked([&] {
        std::vector<std::pair<std::string, std::string>> all;
        SQLite::Statement rows(db_, "SELECT hash, reason FROM blocked ORDER BY hash");
        while (rows.executeStep())
            all.emplace_back(rows.getColumn(0).getString(), rows.getColumn(1).getString());
        return all;
    });
}

Totals SqliteMetadata::totals() {
    return locked([&] {
        SQLite::Statement row(
            db_,
            "SELECT COALESCE(SUM(state = 0), 0), COALESCE(SUM(state = 1), 0), COALESCE(SUM(state = 2), 0), COALESCE(SUM(size) "
            "FILTER (WHERE state = 1), 0), (SELECT COUNT(*) FROM tags), (SELECT COUNT(*) FROM users) FROM uploads");
        row.executeStep();
        return Totals{.partial = unsigned_at(row, 0),
                      .full = unsigned_at(row, 1),
                      .bad = unsigned_at(row, 2),
                      .full_bytes = unsigned_at(row, 3),
                      .tags = unsigned_at(row, 4),
                      .users = unsigned_at(row, 5)};
    });
}

std::string SqliteMetadata::check() {
    return locked([&] {
        std::string wrong;
        for (const std::string& line : texts(SQLite::Statement(db_, "PRAGMA integrity_check"))) {
            if (line != "ok") wrong += line + "\n";
        }
        if (SQLite::Statement(db_, "PRAGMA foreign_key_check").executeStep()) wrong += "a row refers to one that is not there\n";
        return wrong;
    });
}

}  // namespace registry::server
