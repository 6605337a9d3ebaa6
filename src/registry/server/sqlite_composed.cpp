// Images as objects in the store. States are as in schema.cpp.
#include "registry/server/sqlite_metadata.h"

namespace registry::server {

bool SqliteMetadata::add_composed(const std::string& id, const std::string& object, uint64_t size, Time now, Time until) {
    return locked([&] {
        return change(db_, "INSERT INTO composed (upload, object, size, used, until) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", id,
                      object, number(size), now, until) > 0;
    });
}

bool SqliteMetadata::renew_composed(const std::string& object, Time until) {
    return locked([&] { return change(db_, "UPDATE composed SET until = ? WHERE object = ? AND state = 0", until, object) > 0; });
}

bool SqliteMetadata::finish_composed(const std::string& object, Time now) {
    return locked([&] { return change(db_, "UPDATE composed SET state = 1, used = ? WHERE object = ? AND state = 0", now, object) > 0; });
}

// Whoever retires an object looks at `used` in the same statement. So an object that a client is sent to now stays, although most of these
// look-ups write nothing.
std::optional<std::string> SqliteMetadata::use_composed(const std::string& id, Time now) {
    bool fresh = false;
    std::optional<std::string> object = reading([&](SQLite::Database& db) -> std::optional<std::string> {
        SQLite::Statement row = query(db, "SELECT object, used > ?2 - 10 FROM composed WHERE upload = ?1 AND state = 1", id, now);
        if (!row.executeStep()) return std::nullopt;
        fresh = row.getColumn(1).getInt() != 0;
        return row.getColumn(0).getString();
    });
    if (!object || fresh) return object;
    return locked([&] {
        return first_text(query(db_, "UPDATE composed SET used = MAX(used, ?2) WHERE upload = ?1 AND state = 1 RETURNING object", id, now));
    });
}

std::vector<Composed> SqliteMetadata::composed() {
    return reading([&](SQLite::Database& db) {
        std::vector<Composed> all;
        SQLite::Statement rows(db, "SELECT upload, object, size, used, state FROM composed ORDER BY used, object");
        while (rows.executeStep()) {
            all.push_back({.id = rows.getColumn(0).getString(),
                           .object = rows.getColumn(1).getString(),
                           .size = unsigned_at(rows, 2),
                           .used = rows.getColumn(3).getInt64(),
                           .ready = rows.getColumn(4).getInt() == 1});
        }
        return all;
    });
}

bool SqliteMetadata::retire_composed(const std::string& object, Time before) {
    return locked(
        [&] { return change(db_, "UPDATE composed SET state = 2 WHERE object = ? AND state = 1 AND used <= ?", object, before) > 0; });
}

void SqliteMetadata::retire_all_composed(const std::string& user, const std::string& repository) {
    change(db_,
           "UPDATE composed SET state = 2 WHERE upload IN (SELECT upload FROM tags WHERE repository = (SELECT id FROM repositories WHERE "
           "user = ? AND name = ?))",
           user, repository);
}

std::vector<std::string> SqliteMetadata::useless_composed(Time now) {
    return reading([&](SQLite::Database& db) {
        return texts(query(db,
                           "SELECT object FROM composed LEFT JOIN uploads ON id = upload WHERE composed.state = 2 OR (composed.state = 0 "
                           "AND until < ?) OR id IS NULL OR uploads.state <> ? OR (hidden AND NOT EXISTS (SELECT 1 FROM tags WHERE "
                           "tags.upload = id) AND NOT EXISTS (SELECT 1 FROM mirrored WHERE mirrored.upload = id))",
                           now, static_cast<int>(State::full)));
    });
}

void SqliteMetadata::remove_composed(const std::string& object) {
    locked([&] { change(db_, "DELETE FROM composed WHERE object = ?", object); });
}

}  // namespace registry::server
