#include "registry/server/sqlite_metadata.h"

namespace registry::server {

void SqliteMetadata::add_mirrored(const std::string& id, Time now) {
    locked(
        [&] { change(db_, "INSERT INTO mirrored (upload, used) VALUES (?, ?) ON CONFLICT DO UPDATE SET used = excluded.used", id, now); });
}

void SqliteMetadata::use_mirrored(const std::string& id, Time now) {
    locked([&] { change(db_, "UPDATE mirrored SET used = ?1 WHERE upload = ?2 AND used < ?1 - 60", now, id); });
}

std::vector<Mirrored> SqliteMetadata::mirrored() {
    return reading([&](SQLite::Database& db) {
        std::vector<Mirrored> all;
        SQLite::Statement rows(db, "SELECT upload, size FROM mirrored JOIN uploads ON id = upload ORDER BY used, upload");
        while (rows.executeStep())
            all.push_back({.id = rows.getColumn(0).getString(), .size = unsigned_at(rows, 1)});
        return all;
    });
}

void SqliteMetadata::remove_mirrored(const std::string& id) {
    locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        change(db_, "DELETE FROM mirrored WHERE upload = ?", id);
        change(db_, "DELETE FROM uploads WHERE id = ? AND NOT EXISTS (SELECT 1 FROM tags WHERE upload = uploads.id)", id);
        transaction.commit();
    });
}

std::optional<MirroredTag> SqliteMetadata::find_mirrored_tag(const std::string& tag) {
    return reading([&](SQLite::Database& db) -> std::optional<MirroredTag> {
        SQLite::Statement row = query(db, "SELECT sha3, asked FROM mirrored_tags WHERE tag = ?", tag);
        if (!row.executeStep()) return std::nullopt;
        return MirroredTag{.sha3 = row.getColumn(0).getString(), .asked = row.getColumn(1).getInt64()};
    });
}

void SqliteMetadata::set_mirrored_tag(const std::string& tag, const MirroredTag& value) {
    locked([&] {
        change(db_,
               "INSERT INTO mirrored_tags (tag, sha3, asked) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET sha3 = excluded.sha3, asked = "
               "excluded.asked",
               tag, value.sha3, value.asked);
    });
}

void SqliteMetadata::forget_mirrored_tag(const std::string& tag) {
    locked([&] { change(db_, "DELETE FROM mirrored_tags WHERE tag = ?", tag); });
}

}  // namespace registry::server
