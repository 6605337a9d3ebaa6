// As sqlite_private.cpp, which has the reasons.
#include <fmt/format.h>

#include "registry/server/errors.h"
#include "registry/server/postgres_metadata.h"

namespace registry::server {
namespace {

using postgres::Connection;
using postgres::Rows;

constexpr const char* kShown =
    "(NOT hidden OR EXISTS (SELECT 1 FROM tags JOIN repositories ON repositories.id = repository WHERE tags.upload = uploads.id AND (NOT "
    "private OR user_name = $1)) OR EXISTS (SELECT 1 FROM mirrored WHERE mirrored.upload = uploads.id))";

constexpr const char* kPrivateRow =
    "SELECT uploads.id, uploads.number, repositories.id, user_name || '/' || repositories.name, links FROM tags JOIN repositories ON "
    "repositories.id = repository JOIN uploads ON uploads.id = upload WHERE private";

std::optional<PrivateImage> private_row(const Rows& rows) {
    if (rows.count() == 0) return std::nullopt;
    return PrivateImage{.id = rows.text(0, 0),
                        .number = rows.number(0, 1),
                        .repository = rows.number(0, 2),
                        .name = rows.text(0, 3),
                        .links = rows.number(0, 4)};
}

}  // namespace

std::optional<std::string> PostgresMetadata::find_image(const std::string& sha3, const std::string& viewer) {
    static const std::string sql = fmt::format(
        "SELECT id FROM uploads WHERE sha3 = $2 AND state = $3 AND {} ORDER BY CASE WHEN EXISTS (SELECT 1 FROM blocked) THEN id IN (SELECT "
        "hash FROM blocked) OR EXISTS (SELECT 1 FROM upload_chunks JOIN chunks ON chunks.id = chunk WHERE upload = number AND "
        "encode(sha256, 'hex') IN (SELECT hash FROM blocked)) ELSE false END, NOT EXISTS (SELECT 1 FROM tags WHERE upload = uploads.id), "
        "id LIMIT 1",
        kShown);
    return postgres::first_text(ask(sql.c_str(), viewer, sha3, static_cast<int64_t>(State::full)));
}

bool PostgresMetadata::is_visible(const std::string& id, const std::string& viewer) {
    static const std::string sql = fmt::format("SELECT 1 FROM uploads WHERE id = $2 AND {}", kShown);
    return ask(sql.c_str(), viewer, id).count() > 0;
}

void PostgresMetadata::set_private(const std::string& user, const std::string& repository, bool value) {
    pool_.transact([&](Connection& connection) {
        // One at a time for each user, and not beside set_tag.
        lock_known_user(connection, user);
        connection.query(
            "INSERT INTO repositories (user_name, name, private) VALUES ($1, $2, $3::BOOLEAN) ON CONFLICT (user_name, name) DO UPDATE SET "
            "private = excluded.private, links = repositories.links + (repositories.private <> excluded.private)::INTEGER",
            user, repository, value);
        if (value) {
            connection.query(
                "UPDATE uploads SET hidden = true WHERE pusher = $1 AND id IN (SELECT upload FROM tags WHERE repository = (SELECT id FROM "
                "repositories WHERE user_name = $1 AND name = $2))",
                user, repository);
        } else {
            remove_if_empty(connection, user, repository, false);
        }
        retire_all_composed(connection, user, repository);
        check_empty_repositories(connection, user);
    });
}

bool PostgresMetadata::end_links(const std::string& user, const std::string& repository) {
    return pool_.transact([&](Connection& connection) {
        retire_all_composed(connection, user, repository);
        return connection.query("UPDATE repositories SET links = links + 1 WHERE user_name = $1 AND name = $2", user, repository)
                   .changed() > 0;
    });
}

bool PostgresMetadata::is_private(const std::string& user, const std::string& repository) {
    return ask("SELECT 1 FROM repositories WHERE user_name = $1 AND name = $2 AND private", user, repository).count() > 0;
}

std::optional<PrivateImage> PostgresMetadata::find_private(const std::string& id, const std::string& user) {
    static const std::string sql = fmt::format("{} AND upload = $1 AND user_name = $2 ORDER BY repositories.id LIMIT 1", kPrivateRow);
    return private_row(ask(sql.c_str(), id, user));
}

std::optional<PrivateImage> PostgresMetadata::find_private(int64_t number, int64_t repository) {
    static const std::string sql = fmt::format("{} AND uploads.number = $1 AND repository = $2 LIMIT 1", kPrivateRow);
    return private_row(ask(sql.c_str(), number, repository));
}

std::string PostgresMetadata::secret(const std::string& name, const std::string& fresh) {
    return pool_.use([&](Connection& connection) {
        connection.query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, fresh);
        return postgres::first_text(connection.query("SELECT value FROM secrets WHERE name = $1", name)).value();
    });
}

}  // namespace registry::server
