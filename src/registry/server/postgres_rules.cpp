// As sqlite_rules.cpp has it.
#include <algorithm>

#include "registry/server/errors.h"
#include "registry/server/postgres_metadata.h"

namespace registry::server {
namespace {

using postgres::Connection;
using postgres::Rows;

// Columns: user, repository, tag.
std::vector<Name> names_of(const Rows& rows) {
    std::vector<Name> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2)});
    return all;
}

constexpr const char* kExpiredTags =
    "SELECT user_name, repositories.name, tags.name FROM tags JOIN repositories ON repositories.id = repository WHERE expires > 0 AND "
    "expires <= $1 AND ($3 = '' OR user_name = $3) LIMIT $2";

// The newest ones have the first places. A rule of 0 keeps nothing.
constexpr const char* kTagsNotKept =
    "SELECT user_name, repository, tag FROM (SELECT user_name, repositories.name AS repository, tags.name AS tag, changed, keep, "
    "keep_younger, ROW_NUMBER() OVER (PARTITION BY repositories.id ORDER BY changed DESC, tags.name) AS place FROM tags JOIN "
    "repositories ON repositories.id = repository WHERE (keep > 0 OR keep_younger > 0) AND ($3 = '' OR user_name = $3)) AS placed "
    "WHERE place > keep AND (keep_younger = "
    "0 OR changed <= $1::BIGINT - keep_younger) LIMIT $2";

constexpr const char* kExpiredUploads =
    "SELECT id FROM uploads WHERE expires > 0 AND expires <= $1 AND NOT EXISTS (SELECT 1 FROM tags WHERE upload = uploads.id) AND NOT "
    "EXISTS (SELECT 1 FROM mirrored WHERE upload = uploads.id) LIMIT $2";

}  // namespace

bool PostgresMetadata::lock_user(Connection& connection, const std::string& user) {
    return connection.query("SELECT 1 FROM users WHERE name = $1 FOR UPDATE", user).count() > 0;
}

void PostgresMetadata::lock_known_user(Connection& connection, const std::string& user) {
    if (!lock_user(connection, user)) throw HttpError(http::kForbidden, "there is no such user");
}

void PostgresMetadata::check_empty_repositories(Connection& connection, const std::string& user) {
    const Rows empty = connection.query(
        "SELECT COUNT(*) FROM repositories WHERE user_name = $1 AND NOT EXISTS (SELECT 1 FROM tags WHERE repository = repositories.id)",
        user);
    refuse_too_many_empty(user, empty.number(0, 0));
}

uint64_t PostgresMetadata::remove_if_empty(Connection& connection, const std::string& user, const std::string& repository, bool even_kept) {
    return connection
        .query(
            "DELETE FROM repositories WHERE user_name = $1 AND name = $2 AND ((NOT private AND NOT kept) OR $3::BOOLEAN) AND NOT EXISTS "
            "(SELECT 1 FROM tags WHERE repository = id)",
            user, repository, even_kept)
        .changed();
}

uint64_t PostgresMetadata::remove_tags_now(Connection& connection, const Name& name) {
    const uint64_t removed = connection
                                 .query(
                                     "DELETE FROM tags WHERE repository = (SELECT id FROM repositories WHERE user_name = $1 AND name = $2) "
                                     "AND (name = $3 OR $3 = '')",
                                     name.user, name.repository, name.tag)
                                 .changed();
    return std::max(removed, remove_if_empty(connection, name.user, name.repository, name.tag.empty()));
}

uint64_t PostgresMetadata::remove_tags(const Name& name) {
    return pool_.transact([&](Connection& connection) {
        // Beside set_tag a repository would go with the tag that it has just got.
        lock_user(connection, name.user);
        return remove_tags_now(connection, name);
    });
}

int64_t PostgresMetadata::keep_repository(Connection& connection, const Name& name) {
    const int64_t id = connection
                           .query(
                               "INSERT INTO repositories (user_name, name, kept) VALUES ($1, $2, true) ON CONFLICT (user_name, name) DO "
                               "UPDATE SET kept = true RETURNING id",
                               name.user, name.repository)
                           .number(0, 0);
    check_empty_repositories(connection, name.user);
    return id;
}

bool PostgresMetadata::make_repository(const Name& name) {
    return pool_.transact([&](Connection& connection) {
        lock_known_user(connection, name.user);
        const Rows found = connection.query("SELECT 1 FROM repositories WHERE user_name = $1 AND name = $2", name.user, name.repository);
        if (found.count() > 0) return false;
        keep_repository(connection, name);
        return true;
    });
}

std::vector<std::string> PostgresMetadata::empty_repositories(const std::string& user, size_t limit) {
    return postgres::texts(
        ask("SELECT name FROM repositories WHERE user_name = $1 AND NOT EXISTS (SELECT 1 FROM tags WHERE repository = repositories.id) "
            "ORDER BY name LIMIT $2",
            user, uint64_t{limit}));
}

void PostgresMetadata::set_rules(const Name& name, const RuleChanges& changes) {
    pool_.transact([&](Connection& connection) {
        lock_known_user(connection, name.user);
        const int64_t id = keep_repository(connection, name);
        if (changes.immutable) connection.query("UPDATE repositories SET immutable = $1 WHERE id = $2", *changes.immutable, id);
        if (changes.keep) connection.query("UPDATE repositories SET keep = $1 WHERE id = $2", *changes.keep, id);
        if (changes.keep_younger) connection.query("UPDATE repositories SET keep_younger = $1 WHERE id = $2", *changes.keep_younger, id);
    });
}

std::optional<Rules> PostgresMetadata::find_rules(const Name& name) {
    const Rows rows =
        ask("SELECT immutable, keep, keep_younger FROM repositories WHERE user_name = $1 AND name = $2", name.user, name.repository);
    if (rows.count() == 0) return std::nullopt;
    return Rules{.immutable = rows.is_true(0, 0), .keep = rows.unsigned_number(0, 1), .keep_younger = rows.number(0, 2)};
}

Time PostgresMetadata::tag_expiry(const Name& name) {
    const Rows rows =
        ask("SELECT expires FROM tags WHERE repository = (SELECT id FROM repositories WHERE user_name = $1 AND name = $2) AND name = $3",
            name.user, name.repository, name.tag);
    return rows.count() == 0 ? 0 : rows.number(0, 0);
}

std::vector<Name> PostgresMetadata::remove_old_tags(Age age, Time now, size_t limit) {
    const char* sql = age == Age::expired ? kExpiredTags : kTagsNotKept;
    return pool_.transact([&](Connection& connection) {
        const std::vector<Name> found = names_of(connection.query(sql, now, uint64_t{1}, std::string()));
        std::vector<Name> removed;
        if (found.empty()) return removed;
        // One user's at a time: who locks several could wait for one who waits for it. What is to go is looked for again once nobody can
        // set it anew.
        const std::string& user = found.front().user;
        lock_user(connection, user);
        for (const Name& name : names_of(connection.query(sql, now, uint64_t{limit}, user))) {
            remove_tags_now(connection, name);
            removed.push_back(name);
        }
        return removed;
    });
}

uint64_t PostgresMetadata::remove_expired_uploads(Time now, uint64_t limit) {
    return pool_.transact([&](Connection& connection) -> uint64_t {
        if (connection.query(kExpiredUploads, now, uint64_t{1}).count() == 0) return 0;  // without a lock that others wait for
        lock_for_removing(connection);
        const std::vector<std::string> ids = postgres::texts(connection.query(kExpiredUploads, now, limit));
        return connection.query("DELETE FROM uploads WHERE id = ANY($1::TEXT[])", postgres::hashes_value(ids)).changed();
    });
}

}  // namespace registry::server
