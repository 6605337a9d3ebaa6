// As sqlite_composed.cpp, which has the reasons.
#include "registry/server/postgres_metadata.h"

namespace registry::server {

using postgres::Rows;

bool PostgresMetadata::add_composed(const std::string& id, const std::string& object, uint64_t size, Time now, Time until) {
    return ask("INSERT INTO composed (upload, object, size, used, until) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", id, object,
               size, now, until)
               .changed() > 0;
}

bool PostgresMetadata::renew_composed(const std::string& object, Time until) {
    return ask("UPDATE composed SET until = $1 WHERE object = $2 AND state = 0", until, object).changed() > 0;
}

bool PostgresMetadata::finish_composed(const std::string& object, Time now) {
    return ask("UPDATE composed SET state = 1, used = $1 WHERE object = $2 AND state = 0", now, object).changed() > 0;
}

std::optional<std::string> PostgresMetadata::use_composed(const std::string& id, Time now) {
    const Rows rows = ask("SELECT object, used > $2::BIGINT - 10 FROM composed WHERE upload = $1 AND state = 1", id, now);
    if (rows.count() == 0) return std::nullopt;
    if (rows.is_true(0, 1)) return rows.text(0, 0);
    return postgres::first_text(
        ask("UPDATE composed SET used = GREATEST(used, $2) WHERE upload = $1 AND state = 1 RETURNING object", id, now));
}

std::vector<Composed> PostgresMetadata::composed() {
    const Rows rows = ask("SELECT upload, object, size, used, state = 1 FROM composed ORDER BY used, object");
    std::vector<Composed> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++) {
        all.push_back({.id = rows.text(row, 0),
                       .object = rows.text(row, 1),
                       .size = rows.unsigned_number(row, 2),
                       .used = rows.number(row, 3),
                       .ready = rows.is_true(row, 4)});
    }
    return all;
}

bool PostgresMetadata::retire_composed(const std::string& object, Time before) {
    return ask("UPDATE composed SET state = 2 WHERE object = $1 AND state = 1 AND used <= $2", object, before).changed() > 0;
}

void PostgresMetadata::retire_all_composed(postgres::Connection& connection, const std::string& user, const std::string& repository) {
    connection.query(
        "UPDATE composed SET state = 2 WHERE upload IN (SELECT upload FROM tags WHERE repository = (SELECT id FROM repositories WHERE "
        "user_name = $1 AND name = $2))",
        user, repository);
}

std::vector<std::string> PostgresMetadata::useless_composed(Time now) {
    return postgres::texts(
        ask("SELECT object FROM composed LEFT JOIN uploads ON id = upload WHERE composed.state = 2 OR (composed.state = 0 AND until < $1) "
            "OR id IS NULL OR uploads.state <> $2 OR (hidden AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.upload = id) AND NOT EXISTS "
            "(SELECT 1 FROM mirrored WHERE mirrored.upload = id))",
            now, static_cast<int64_t>(State::full)));
}

void PostgresMetadata::remove_composed(const std::string& object) {
    ask("DELETE FROM composed WHERE object = $1", object);
}

}  // namespace registry::server
