// Users, tokens, tags and blocked hashes.
#include "registry/server/errors.h"
#include "registry/server/postgres_metadata.h"

namespace registry::server {
namespace {

using postgres::Connection;
using postgres::Rows;

// Columns: name, quota, used bytes.
User user_of(const Rows& rows, int row) {
    return {.name = rows.text(row, 0),
            .quota = rows.is_null(row, 1) ? std::nullopt : std::optional(rows.unsigned_number(row, 1)),
            .used = rows.unsigned_number(row, 2)};
}

// Columns: user, repository, tag, upload, SHA3-224, size, uses, when it was set, whether it is private.
TaggedImage tagged_row(const Rows& rows, int row) {
    return {.name = {.user = rows.text(row, 0), .repository = rows.text(row, 1), .tag = rows.text(row, 2)},
            .id = rows.text(row, 3),
            .sha3 = rows.text(row, 4),
            .size = rows.unsigned_number(row, 5),
            .uses = rows.unsigned_number(row, 6),
            .changed = rows.number(row, 7),
            .in_private = rows.is_true(row, 8)};
}

std::vector<TaggedImage> tagged_rows(const Rows& rows) {
    std::vector<TaggedImage> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.push_back(tagged_row(rows, row));
    return all;
}

}  // namespace

std::optional<std::string> PostgresMetadata::find_tag(const Name& name, const std::string& viewer) {
    return postgres::first_text(
        ask("SELECT upload FROM tags JOIN repositories ON repositories.id = repository WHERE user_name = $1 AND repositories.name = $2 AND "
            "tags.name = $3 AND (NOT private OR user_name = $4)",
            name.user, name.repository, name.tag, viewer));
}

void PostgresMetadata::set_tag(const Name& name, const std::string& id, uint64_t default_quota, Time now, bool only_check, Time expires) {
    pool_.transact([&](Connection& connection) {
        lock_for_adding(connection);
        // One at a time for each user: the quota holds for what two of them add at once, too.
        const Rows user = connection.query("SELECT quota FROM users WHERE name = $1 FOR UPDATE", name.user);
        if (user.count() == 0) throw HttpError(http::kForbidden, "there is no such user");
        const uint64_t quota = user.is_null(0, 0) ? default_quota : user.unsigned_number(0, 0);
        const uint64_t used = connection
                                  .query(
                                      "SELECT COALESCE(SUM(size), 0)::BIGINT FROM uploads WHERE id = $1 OR id IN (SELECT upload FROM tags "
                                      "JOIN repositories ON repositories.id = repository WHERE user_name = $2)",
                                      id, name.user)
                                  .unsigned_number(0, 0);
        refuse_above_quota(name.user, used, quota);
        const Rows fixed = connection.query(
            "SELECT 1 FROM tags JOIN repositories ON repositories.id = repository WHERE user_name = $1 AND repositories.name = $2 AND "
            "tags.name = $3 AND upload <> $4 AND immutable",
            name.user, name.repository, name.tag, id);
        if (fixed.count() > 0) refuse_immutable(name);
        connection.query(
            "UPDATE uploads SET expires = CASE $1::BIGINT WHEN 0 THEN 0 ELSE GREATEST(expires, $1::BIGINT) END WHERE id = $2 AND expires > "
            "0",
            expires, id);
        // As SqliteMetadata has it.
        connection.query("UPDATE uploads SET pusher = $1 WHERE id = $2 AND state = 0 AND pusher IS NULL AND NOT known", name.user, id);
        connection.query(
            "UPDATE uploads SET hidden = true WHERE id = $1 AND NOT hidden AND pusher = $2 AND EXISTS (SELECT 1 FROM repositories WHERE "
            "user_name = $2 AND name = $3 AND private)",
            id, name.user, name.repository);
        if (only_check) return;
        if (connection.query("SELECT 1 FROM uploads WHERE id = $1", id).count() == 0)
            throw HttpError(http::kNotFound, "there is no such descriptor");
        connection.query("INSERT INTO repositories (user_name, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", name.user, name.repository);
        connection.query(
            "INSERT INTO tags (repository, name, upload, changed, expires) SELECT id, $1, $2, $3, $6 FROM repositories WHERE user_name = "
            "$4 "
            "AND name = $5 ON CONFLICT (repository, name) DO UPDATE SET upload = excluded.upload, changed = excluded.changed, expires = "
            "excluded.expires",
            name.tag, id, now, name.user, name.repository, expires);
    });
}

std::vector<TaggedImage> PostgresMetadata::search(const std::string& text, size_t limit) {
    // strpos, not LIKE, in which % and _ have a meaning.
    return tagged_rows(ask(
        "SELECT user_name, repositories.name, tags.name, uploads.id, sha3, size, uses, changed, private FROM tags JOIN repositories "
        "ON repositories.id = repository JOIN uploads ON uploads.id = upload WHERE strpos(lower(user_name || '/' || repositories.name), "
        "lower($1 COLLATE \"C\")) > 0 ORDER BY user_name, repositories.name, changed DESC, tags.name LIMIT $2",
        text, uint64_t{limit}));
}

std::vector<TaggedImage> PostgresMetadata::tags(const std::string& user, const std::string& repository, const std::string& viewer,
                                                size_t skip, size_t limit) {
    return tagged_rows(ask(
        "SELECT $1::TEXT, $2::TEXT, name, uploads.id, sha3, size, uses, changed, (SELECT private FROM repositories WHERE user_name = $1 "
        "AND name = $2) FROM (SELECT name, upload, changed FROM tags WHERE repository = (SELECT id FROM repositories WHERE user_name = "
        "$1 AND name = $2 AND (NOT private OR user_name = $5)) ORDER BY changed DESC, name LIMIT $3 OFFSET $4) "
        "AS page JOIN uploads ON uploads.id = upload ORDER BY changed DESC, name",
        user, repository, uint64_t{limit}, uint64_t{skip}, viewer));
}

std::optional<TaggedImage> PostgresMetadata::find_tagged(const Name& name, const std::string& viewer) {
    const Rows rows =
        ask("SELECT user_name, repositories.name, tags.name, uploads.id, sha3, size, uses, changed, private FROM tags JOIN repositories "
            "ON repositories.id = repository JOIN uploads ON uploads.id = upload WHERE user_name = $1 AND repositories.name = $2 AND "
            "tags.name = $3 AND (NOT private OR user_name = $4)",
            name.user, name.repository, name.tag, viewer);
    return rows.count() == 0 ? std::nullopt : std::optional(tagged_row(rows, 0));
}

std::vector<ListedRepository> PostgresMetadata::repositories(const std::string& text, const std::string& viewer, const Name& after,
                                                             size_t limit) {
    // As SqliteMetadata has it.
    const Rows rows = ask(
        "SELECT user_name, found.name, newest.name, uploads.id, sha3, size, uses, changed, private, (SELECT COUNT(*) FROM (SELECT 1 FROM "
        "tags "
        "WHERE repository = found.id LIMIT $5) AS counted) FROM (SELECT id, user_name, name, private FROM repositories WHERE (user_name, "
        "name) > ($2, $3) AND (NOT private OR user_name = $6) AND strpos(lower(user_name || '/' || name), lower($1 COLLATE \"C\")) > 0 AND "
        "EXISTS (SELECT 1 FROM tags WHERE "
        "repository = repositories.id) ORDER BY user_name, name LIMIT $4) AS found CROSS JOIN LATERAL (SELECT name, upload, changed "
        "FROM tags WHERE repository = found.id ORDER BY changed DESC, name LIMIT 1) AS newest JOIN uploads ON uploads.id = upload "
        "ORDER BY user_name, found.name",
        text, after.user, after.repository, uint64_t{limit}, ListedRepository::kMostCounted, viewer);
    std::vector<ListedRepository> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.push_back({.newest = tagged_row(rows, row), .tags = rows.unsigned_number(row, 9)});
    return all;
}

void PostgresMetadata::add_user(const std::string& name, std::optional<uint64_t> quota, Time now) {
    ask("INSERT INTO users (name, quota, created) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET quota = excluded.quota", name, quota,
        now);
}

bool PostgresMetadata::remove_user(const std::string& name) {
    return ask("DELETE FROM users WHERE name = $1", name).changed() > 0;
}

std::vector<User> PostgresMetadata::users() {
    const Rows rows = ask(
        "SELECT name, quota, (SELECT COALESCE(SUM(size), 0)::BIGINT FROM uploads WHERE id IN (SELECT upload FROM tags JOIN repositories ON "
        "repositories.id = repository WHERE user_name = users.name)) FROM users ORDER BY name");
    std::vector<User> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.push_back(user_of(rows, row));
    return all;
}

std::optional<User> PostgresMetadata::find_user(const std::string& name) {
    const Rows rows = ask(
        "SELECT name, quota, (SELECT COALESCE(SUM(size), 0)::BIGINT FROM uploads WHERE id IN (SELECT upload FROM tags JOIN repositories "
        "ON repositories.id = repository WHERE user_name = $1)) FROM users WHERE name = $1",
        name);
    return rows.count() == 0 ? std::nullopt : std::optional(user_of(rows, 0));
}

bool PostgresMetadata::add_token(const std::string& user, const std::string& hash, const std::string& note, Time now) {
    return ask("INSERT INTO tokens (user_name, hash, note, created) SELECT name, $1, $2, $3 FROM users WHERE name = $4", hash, note, now,
               user)
               .changed() > 0;
}

std::vector<Token> PostgresMetadata::tokens(const std::string& user) {
    const Rows rows = ask("SELECT id, hash, note, created FROM tokens WHERE user_name = $1 ORDER BY id", user);
    std::vector<Token> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.push_back({.id = rows.number(row, 0), .hash = rows.text(row, 1), .note = rows.text(row, 2), .created = rows.number(row, 3)});
    return all;
}

bool PostgresMetadata::remove_token(const std::string& user, int64_t id) {
    return ask("DELETE FROM tokens WHERE user_name = $1 AND id = $2", user, id).changed() > 0;
}

void PostgresMetadata::add_session(int64_t token, const std::string& hash, Time expires, Time now) {
    ask("DELETE FROM sessions WHERE expires <= $1", now);
    ask("INSERT INTO sessions (hash, token, expires) SELECT $1, id, $2 FROM tokens WHERE id = $3", hash, expires, token);
}

std::optional<std::string> PostgresMetadata::find_session(const std::string& hash, Time now) {
    return postgres::first_text(
        ask("SELECT user_name FROM sessions JOIN tokens ON tokens.id = token WHERE sessions.hash = $1 AND expires > $2", hash, now));
}

void PostgresMetadata::remove_session(const std::string& hash) {
    ask("DELETE FROM sessions WHERE hash = $1", hash);
}

void PostgresMetadata::block(const std::string& hash, const std::string& reason) {
    pool_.transact([&](Connection& connection) {
        connection.query("INSERT INTO blocked (hash, reason) VALUES ($1, $2) ON CONFLICT (hash) DO UPDATE SET reason = excluded.reason",
                         hash, reason);
        connection.query(
            "UPDATE composed SET state = 2 WHERE upload IN (SELECT id FROM uploads WHERE id = $1 OR sha3 = $1) OR upload IN (SELECT id "
            "FROM uploads WHERE number IN (SELECT upload FROM upload_chunks JOIN chunks ON chunks.id = chunk WHERE sha256 = decode($1, "
            "'hex')))",
            hash);
    });
}

bool PostgresMetadata::unblock(const std::string& hash) {
    return ask("DELETE FROM blocked WHERE hash = $1", hash).changed() > 0;
}

std::optional<std::string> PostgresMetadata::find_blocked(const std::vector<std::string>& hashes) {
    return pool_.use([&](Connection& connection) -> std::optional<std::string> {
        // Asked with each request, for up to 1,000 chunks; mostly nothing is blocked.
        if (connection.execute("SELECT 1 FROM blocked LIMIT 1").count() == 0) return std::nullopt;
        return postgres::first_text(
            connection.query("SELECT hash FROM blocked WHERE hash = ANY($1::TEXT[]) LIMIT 1", postgres::hashes_value(hashes)));
    });
}

std::vector<std::pair<std::string, std::string>> PostgresMetadata::blocked() {
    const Rows rows = ask("SELECT hash, reason FROM blocked ORDER BY hash");
    std::vector<std::pair<std::string, std::string>> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.emplace_back(rows.text(row, 0), rows.text(row, 1));
    return all;
}

}  // namespace registry::server
