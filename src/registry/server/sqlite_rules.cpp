// Repositories by themselves, what is kept of their tags, and what has a time.
#include <algorithm>

#include "registry/server/errors.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {
namespace {

// Columns: user, repository, tag.
std::vector<Name> names_of(SQLite::Statement rows) {
    std::vector<Name> all;
    while (rows.executeStep())
        all.push_back({rows.getColumn(0).getString(), rows.getColumn(1).getString(), rows.getColumn(2).getString()});
    return all;
}

constexpr const char* kExpiredTags =
    "SELECT user, repositories.name, tags.name FROM tags JOIN repositories ON repositories.id = repository WHERE expires > 0 AND "
    "expires "
    "<= ? LIMIT ?";

// The newest ones have the first places. A rule of 0 keeps nothing.
constexpr const char* kTagsNotKept =
    "SELECT user, repository, tag FROM (SELECT user, repositories.name AS repository, tags.name AS tag, changed, keep, keep_younger, "
    "ROW_NUMBER() OVER (PARTITION BY repositories.id ORDER BY changed DESC, tags.name) AS place FROM tags JOIN repositories ON "
    "repositories.id = repository WHERE keep > 0 OR keep_younger > 0) WHERE place > keep AND (keep_younger = 0 OR changed <= ? - "
    "keep_younger) LIMIT ?";

}  // namespace

void SqliteMetadata::require_user(const std::string& name) {
    if (!query(db_, "SELECT 1 FROM users WHERE name = ?", name).executeStep()) throw HttpError(http::kForbidden, "there is no such user");
}

void SqliteMetadata::check_empty_repositories(const std::string& user) {
    SQLite::Statement empty = query(
        db_, "SELECT COUNT(*) FROM repositories WHERE user = ? AND NOT EXISTS (SELECT 1 FROM tags WHERE repository = repositories.id)",
        user);
    empty.executeStep();
    refuse_too_many_empty(user, empty.getColumn(0).getInt64());
}

uint64_t SqliteMetadata::remove_if_empty(const std::string& user, const std::string& repository, bool even_kept) {
    return change(
        db_,
        "DELETE FROM repositories WHERE user = ? AND name = ? AND ((NOT private AND NOT kept) OR ?) AND NOT EXISTS (SELECT 1 FROM "
        "tags WHERE repository = id)",
        user, repository, even_kept ? 1 : 0);
}

uint64_t SqliteMetadata::remove_tags_now(const Name& name) {
    const uint64_t removed = change(db_,
                                    "DELETE FROM tags WHERE repository = (SELECT id FROM repositories WHERE user = ?1 AND name = ?2) AND "
                                    "(name = ?3 OR ?3 = '')",
                                    name.user, name.repository, name.tag);
    return std::max(removed, remove_if_empty(name.user, name.repository, name.tag.empty()));
}

uint64_t SqliteMetadata::remove_tags(const Name& name) {
    return locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        const uint64_t removed = remove_tags_now(name);
        transaction.commit();
        return removed;
    });
}

int64_t SqliteMetadata::keep_repository(const Name& name) {
    require_user(name.user);
    SQLite::Statement row =
        query(db_, "INSERT INTO repositories (user, name, kept) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET kept = 1 RETURNING id",
              name.user, name.repository);
    row.executeStep();
    const int64_t id = row.getColumn(0).getInt64();
    while (row.executeStep()) {
    }
    check_empty_repositories(name.user);
    return id;
}

bool SqliteMetadata::make_repository(const Name& name) {
    return locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        if (query(db_, "SELECT 1 FROM repositories WHERE user = ? AND name = ?", name.user, name.repository).executeStep()) return false;
        keep_repository(name);
        transaction.commit();
        return true;
    });
}

std::vector<std::string> SqliteMetadata::empty_repositories(const std::string& user, size_t limit) {
    return reading([&](SQLite::Database& db) {
        return texts(query(db,
                           "SELECT name FROM repositories WHERE user = ? AND NOT EXISTS (SELECT 1 FROM tags WHERE repository = "
                           "repositories.id) ORDER BY name LIMIT ?",
                           user, number(limit)));
    });
}

void SqliteMetadata::set_rules(const Name& name, const RuleChanges& changes) {
    locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        const int64_t id = keep_repository(name);
        if (changes.immutable) change(db_, "UPDATE repositories SET immutable = ? WHERE id = ?", *changes.immutable ? 1 : 0, id);
        if (changes.keep) change(db_, "UPDATE repositories SET keep = ? WHERE id = ?", number(*changes.keep), id);
        if (changes.keep_younger) change(db_, "UPDATE repositories SET keep_younger = ? WHERE id = ?", *changes.keep_younger, id);
        transaction.commit();
    });
}

std::optional<Rules> SqliteMetadata::find_rules(const Name& name) {
    return reading([&](SQLite::Database& db) -> std::optional<Rules> {
        SQLite::Statement row =
            query(db, "SELECT immutable, keep, keep_younger FROM repositories WHERE user = ? AND name = ?", name.user, name.repository);
        if (!row.executeStep()) return std::nullopt;
        return Rules{.immutable = row.getColumn(0).getInt() != 0, .keep = unsigned_at(row, 1), .keep_younger = row.getColumn(2).getInt64()};
    });
}

Time SqliteMetadata::tag_expiry(const Name& name) {
    return reading([&](SQLite::Database& db) -> Time {
        SQLite::Statement row = query(db,
                                      "SELECT expires FROM tags WHERE repository = (SELECT id FROM repositories WHERE user = ? AND name = "
                                      "?) AND name = ?",
                                      name.user, name.repository, name.tag);
        return row.executeStep() ? row.getColumn(0).getInt64() : 0;
    });
}

std::vector<Name> SqliteMetadata::remove_old_tags(Age age, Time now, size_t limit) {
    return locked([&] {
        const char* sql = age == Age::expired ? kExpiredTags : kTagsNotKept;
        if (names_of(query(db_, sql, now, int64_t{1})).empty()) return std::vector<Name>();  // without a lock that others wait for
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        std::vector<Name> names = names_of(query(db_, sql, now, number(limit)));
        for (const Name& name : names)
            remove_tags_now(name);
        transaction.commit();
        return names;
    });
}

uint64_t SqliteMetadata::remove_expired_uploads(Time now, uint64_t limit) {
    return locked([&] {
        return change(db_,
                      "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE expires > 0 AND expires <= ? AND NOT EXISTS (SELECT 1 "
                      "FROM tags WHERE upload = uploads.id) AND NOT EXISTS (SELECT 1 FROM mirrored WHERE upload = uploads.id) LIMIT ?)",
                      now, number(limit));
    });
}

}  // namespace registry::server
