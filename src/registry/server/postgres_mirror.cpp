#include "registry/server/postgres_metadata.h"

namespace registry::server {

using postgres::Connection;
using postgres::Rows;

void PostgresMetadata::add_mirrored(const std::string& id, Time now) {
    ask("INSERT INTO mirrored (upload, used) VALUES ($1, $2) ON CONFLICT (upload) DO UPDATE SET used = excluded.used", id, now);
}

void PostgresMetadata::use_mirrored(const std::string& id, Time now) {
    ask("UPDATE mirrored SET used = $1::BIGINT WHERE upload = $2 AND used < $1::BIGINT - 60", now, id);
}

std::vector<Mirrored> PostgresMetadata::mirrored() {
    const Rows rows = ask("SELECT upload, size FROM mirrored JOIN uploads ON id = upload ORDER BY used, upload");
    std::vector<Mirrored> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.push_back({.id = rows.text(row, 0), .size = rows.unsigned_number(row, 1)});
    return all;
}

void PostgresMetadata::remove_mirrored(const std::string& id) {
    pool_.transact([&](Connection& connection) {
        lock_for_removing(connection);
        connection.query("DELETE FROM mirrored WHERE upload = $1", id);
        connection.query("DELETE FROM uploads WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM tags WHERE upload = uploads.id)", id);
    });
}

std::optional<MirroredTag> PostgresMetadata::find_mirrored_tag(const std::string& tag) {
    const Rows rows = ask("SELECT sha3, asked FROM mirrored_tags WHERE tag = $1", tag);
    if (rows.count() == 0) return std::nullopt;
    return MirroredTag{.sha3 = rows.text(0, 0), .asked = rows.number(0, 1)};
}

void PostgresMetadata::set_mirrored_tag(const std::string& tag, const MirroredTag& value) {
    ask("INSERT INTO mirrored_tags (tag, sha3, asked) VALUES ($1, $2, $3) ON CONFLICT (tag) DO UPDATE SET sha3 = excluded.sha3, asked = "
        "excluded.asked",
        tag, value.sha3, value.asked);
}

void PostgresMetadata::forget_mirrored_tag(const std::string& tag) {
    ask("DELETE FROM mirrored_tags WHERE tag = $1", tag);
}

}  // namespace registry::server
