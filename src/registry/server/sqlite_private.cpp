// What a viewer may see, and private repositories.
#include <fmt/format.h>

#include "registry/server/errors.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {
namespace {

// Whether the viewer ?1 may have the upload of a row. Who shows an image to everybody shows it whatever else is hidden.
constexpr const char* kVisible =
    "(NOT hidden OR EXISTS (SELECT 1 FROM tags JOIN repositories ON repositories.id = repository WHERE tags.upload = uploads.id AND (NOT "
    "private OR user = ?1)) OR EXISTS (SELECT 1 FROM mirrored WHERE mirrored.upload = uploads.id))";

constexpr const char* kPrivateImage =
    "SELECT uploads.id, uploads.number, repositories.id, user || '/' || repositories.name, links FROM tags JOIN repositories ON "
    "repositories.id = repository JOIN uploads ON uploads.id = upload WHERE private";

std::optional<PrivateImage> private_image(SQLite::Statement row) {
    if (!row.executeStep()) return std::nullopt;
    return PrivateImage{.id = row.getColumn(0).getString(),
                        .number = row.getColumn(1).getInt64(),
                        .repository = row.getColumn(2).getInt64(),
                        .name = row.getColumn(3).getString(),
                        .links = row.getColumn(4).getInt64()};
}

}  // namespace

std::optional<std::string> SqliteMetadata::find_image(const std::string& sha3, const std::string& viewer) {
    // A stranger may upload the same image in other chunks: a known user's upload counts before it, and one that is served before both.
    static const std::string sql = fmt::format(
        "SELECT id FROM uploads WHERE sha3 = ?2 AND state = ?3 AND {} ORDER BY CASE WHEN EXISTS (SELECT 1 FROM blocked) THEN id IN (SELECT "
        "hash FROM blocked) OR EXISTS (SELECT 1 FROM upload_chunks JOIN chunks ON chunks.id = chunk WHERE upload = number AND "
        "lower(hex(sha256)) IN (SELECT hash FROM blocked)) ELSE 0 END, NOT EXISTS (SELECT 1 FROM tags WHERE upload = uploads.id), id "
        "LIMIT 1",
        kVisible);
    return reading([&](SQLite::Database& db) { return first_text(query(db, sql.c_str(), viewer, sha3, static_cast<int>(State::full))); });
}

bool SqliteMetadata::is_visible(const std::string& id, const std::string& viewer) {
    static const std::string sql = fmt::format("SELECT id FROM uploads WHERE id = ?2 AND {}", kVisible);
    return reading([&](SQLite::Database& db) { return first_text(query(db, sql.c_str(), viewer, id)).has_value(); });
}

void SqliteMetadata::set_private(const std::string& user, const std::string& repository, bool value) {
    locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        require_user(user);
        change(db_,
               "INSERT INTO repositories (user, name, private) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET links = links + "
               "(private <> ?3), private = ?3",
               user, repository, value ? 1 : 0);
        if (value) {
            change(db_,
                   "UPDATE uploads SET hidden = 1 WHERE pusher = ?1 AND id IN (SELECT upload FROM tags WHERE repository = (SELECT id FROM "
                   "repositories WHERE user = ?1 AND name = ?2))",
                   user, repository);
        } else {
            remove_if_empty(user, repository, false);
        }
        retire_all_composed(user, repository);
        check_empty_repositories(user);
        transaction.commit();
    });
}

bool SqliteMetadata::end_links(const std::string& user, const std::string& repository) {
    return locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        const bool found = change(db_, "UPDATE repositories SET links = links + 1 WHERE user = ? AND name = ?", user, repository) > 0;
        retire_all_composed(user, repository);
        transaction.commit();
        return found;
    });
}

bool SqliteMetadata::is_private(const std::string& user, const std::string& repository) {
    return reading([&](SQLite::Database& db) {
        return query(db, "SELECT 1 FROM repositories WHERE user = ? AND name = ? AND private", user, repository).executeStep();
    });
}

std::optional<PrivateImage> SqliteMetadata::find_private(const std::string& id, const std::string& user) {
    static const std::string sql = fmt::format("{} AND upload = ? AND user = ? ORDER BY repositories.id LIMIT 1", kPrivateImage);
    return reading([&](SQLite::Database& db) { return private_image(query(db, sql.c_str(), id, user)); });
}

std::optional<PrivateImage> SqliteMetadata::find_private(int64_t number, int64_t repository) {
    static const std::string sql = fmt::format("{} AND uploads.number = ? AND repository = ? LIMIT 1", kPrivateImage);
    return reading([&](SQLite::Database& db) { return private_image(query(db, sql.c_str(), number, repository)); });
}

std::string SqliteMetadata::secret(const std::string& name, const std::string& fresh) {
    return locked([&] {
        change(db_, "INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, fresh);
        return first_text(query(db_, "SELECT value FROM secrets WHERE name = ?", name)).value();
    });
}

}  // namespace registry::server
