#include "registry/server/postgres_metadata.h"

#include <fmt/format.h>

#include <random>

#include "registry/server/postgres_schema.h"

namespace registry::server {
namespace {

using postgres::Connection;
using postgres::Rows;

constexpr int64_t kUploadsLock = 0x67766d6b69740002;
constexpr const char* kLeaseSeconds = "30";  // after which another server may hash an upload whose server has not gone on

std::string new_server_name() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}", random(), random());
}

int64_t number_of(State state) {
    return static_cast<int64_t>(state);
}

}  // namespace

PostgresMetadata::PostgresMetadata(const std::string& url) : url_(url), server_(new_server_name()), pool_(url) {
    postgres::check_url(url);
    Connection connection(url, std::chrono::seconds(0));
    postgres::prepare_schema(connection);
}

void PostgresMetadata::lock_for_adding(Connection& connection) {
    connection.query("SELECT pg_advisory_xact_lock_shared($1)", kUploadsLock);
}

void PostgresMetadata::lock_for_removing(Connection& connection) {
    connection.query("SELECT pg_advisory_xact_lock($1)", kUploadsLock);
}

bool PostgresMetadata::add_upload(const std::string& id, const Descriptor& descriptor, Time now, Time expires) {
    const postgres::Value bytes = postgres::bytes_value(serialize(descriptor));
    const postgres::Value chunks = postgres::hashes_value(descriptor.chunks);
    return pool_.transact([&](Connection& connection) {
        lock_for_adding(connection);
        const Rows added = connection.query(
            "INSERT INTO uploads (id, descriptor, sha3, size, touched, expires) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO "
            "NOTHING "
            "RETURNING number",
            id, bytes, descriptor.sha3, descriptor.size, now, expires);
        if (added.count() == 0) return false;
        // In one order, so that two uploads with the same chunks do not wait for each other.
        connection.query(
            "INSERT INTO chunks (sha256) SELECT DISTINCT decode(hash, 'hex') AS bytes FROM unnest($1::TEXT[]) AS hash ORDER BY bytes ON "
            "CONFLICT DO NOTHING",
            chunks);
        connection.query(
            "INSERT INTO upload_chunks (chunk, upload) SELECT DISTINCT id, $2::BIGINT FROM unnest($1::TEXT[]) AS hash JOIN chunks ON "
            "sha256 = decode(hash, 'hex')",
            chunks, added.number(0, 0));
        return true;
    });
}

std::optional<Upload> PostgresMetadata::find_upload(const std::string& id) {
    const Rows rows = ask("SELECT descriptor, state, uses, known, stored, expires, hidden FROM uploads WHERE id = $1", id);
    if (rows.count() == 0) return std::nullopt;
    const std::string bytes = rows.bytes(0, 0);
    return Upload{.id = id,
                  .descriptor = parse_descriptor(std::as_bytes(std::span(bytes))),
                  .state = static_cast<State>(rows.number(0, 1)),
                  .uses = rows.unsigned_number(0, 2),
                  .known = rows.is_true(0, 3),
                  .stored = rows.unsigned_number(0, 4),
                  .expires = rows.number(0, 5),
                  .hidden = rows.is_true(0, 6)};
}

void PostgresMetadata::set_state(const std::string& id, State state, Time now) {
    ask("UPDATE uploads SET state = $1, touched = $2 WHERE id = $3", number_of(state), now, id);
}

void PostgresMetadata::set_known(const std::string& id) {
    ask("UPDATE uploads SET known = true WHERE id = $1 AND NOT known", id);
}

void PostgresMetadata::add_stored(const std::string& id, uint64_t bytes) {
    ask("UPDATE uploads SET stored = stored + $1 WHERE id = $2", bytes, id);
}

uint64_t PostgresMetadata::anonymous_bytes() {
    return ask("SELECT COALESCE(SUM(stored), 0)::BIGINT FROM uploads WHERE NOT known").unsigned_number(0, 0);
}

void PostgresMetadata::add_uses(const std::string& id, uint64_t uses) {
    ask("UPDATE uploads SET uses = uses + $1 WHERE id = $2", uses, id);
}

std::vector<std::string> PostgresMetadata::uploads(State state) {
    return postgres::texts(ask("SELECT id FROM uploads WHERE state = $1", number_of(state)));
}

uint64_t PostgresMetadata::expire(Time before, uint64_t limit) {
    return pool_.transact([&](Connection& connection) {
        lock_for_removing(connection);
        connection.execute("DELETE FROM pushes WHERE filled < now() - interval '1 hour'; DELETE FROM receiving WHERE until < now()");
        return connection
            .query(
                "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE touched <= $1 AND NOT EXISTS (SELECT 1 FROM tags WHERE "
                "upload = uploads.id) AND NOT EXISTS (SELECT 1 FROM mirrored WHERE upload = uploads.id) LIMIT $2)",
                before, limit)
            .changed();
    });
}

void PostgresMetadata::for_unused(const std::vector<std::string>& chunks, const std::function<void(const std::string&)>& remove) {
    pool_.transact([&](Connection& connection) {
        lock_for_removing(connection);
        const std::vector<std::string> unused = postgres::texts(
            connection.query("SELECT hash FROM unnest($1::TEXT[]) AS hash WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE sha256 = "
                             "decode(hash, 'hex'))",
                             postgres::hashes_value(chunks)));
        for (const std::string& chunk : unused) {
            connection.execute("SELECT 1");  // with the connection the lock would be gone
            remove(chunk);
        }
    });
}

bool PostgresMetadata::claim(const std::string& id) {
    return ask("UPDATE uploads SET claimed_by = $1, claimed_until = now() + $3::INTERVAL WHERE id = $2 AND (claimed_by IS NULL OR "
               "claimed_by = "
               "$1 OR claimed_until < now())",
               server_, id, std::string(kLeaseSeconds))
               .changed() > 0;
}

void PostgresMetadata::wake(const std::string& sha256) {
    ask("UPDATE uploads SET woken = true WHERE state = 0 AND NOT woken AND claimed_by <> $1 AND number IN (SELECT upload FROM "
        "upload_chunks "
        "JOIN chunks ON chunks.id = chunk WHERE sha256 = decode($2, 'hex'))",
        server_, sha256);
}

std::vector<std::string> PostgresMetadata::woken() {
    return postgres::texts(
        ask("UPDATE uploads SET woken = false WHERE woken AND (claimed_by = $1 OR claimed_until < now()) RETURNING id", server_));
}

Receiving PostgresMetadata::share_receiving(const Receiving& mine) {
    return pool_.use([&](Connection& connection) {
        // Two statements: of two servers that come at once, at least the second one sees the other's bytes.
        connection.query(
            "INSERT INTO receiving (server, bytes, anonymous, until) VALUES ($1, $2, $3, now() + interval '1 minute') ON CONFLICT (server) "
            "DO "
            "UPDATE SET bytes = excluded.bytes, anonymous = excluded.anonymous, until = excluded.until",
            server_, mine.bytes, mine.anonymous);
        const Rows others = connection.query(
            "SELECT COALESCE(SUM(bytes), 0)::BIGINT, COALESCE(SUM(anonymous), 0)::BIGINT FROM receiving WHERE server <> $1 AND until >= "
            "now()",
            server_);
        return Receiving{.bytes = others.unsigned_number(0, 0), .anonymous = others.unsigned_number(0, 1)};
    });
}

unsigned PostgresMetadata::count_push(const std::string& address, unsigned hourly) {
    return pool_.use([&](Connection& connection) -> unsigned {
        const Rows taken = connection.query(
            "INSERT INTO pushes (address, remaining, filled) VALUES ($1, $2::DOUBLE PRECISION - 1, clock_timestamp()) ON CONFLICT "
            "(address) DO "
            "UPDATE SET remaining = LEAST($2::DOUBLE PRECISION, pushes.remaining + EXTRACT(EPOCH FROM clock_timestamp() - pushes.filled) * "
            "$2::DOUBLE PRECISION / 3600) - 1, filled = clock_timestamp() WHERE pushes.remaining + EXTRACT(EPOCH FROM clock_timestamp() - "
            "pushes.filled) * $2::DOUBLE PRECISION / 3600 >= 1 RETURNING 1",
            address, uint64_t{hourly});
        if (taken.count() > 0) return 0;
        const Rows wait = connection.query(
            "SELECT CEIL((1 - remaining) * 3600 / $2::DOUBLE PRECISION - EXTRACT(EPOCH FROM clock_timestamp() - filled))::BIGINT FROM "
            "pushes "
            "WHERE address = $1",
            address, uint64_t{hourly});
        return wait.count() > 0 ? static_cast<unsigned>(std::max<int64_t>(1, wait.number(0, 0))) : 1;
    });
}

Totals PostgresMetadata::totals() {
    const Rows row = ask(
        "SELECT COUNT(*) FILTER (WHERE state = 0), COUNT(*) FILTER (WHERE state = 1), COUNT(*) FILTER (WHERE state = 2), "
        "COALESCE(SUM(size) FILTER (WHERE state = 1), 0)::BIGINT, (SELECT COUNT(*) FROM tags), (SELECT COUNT(*) FROM users) FROM uploads");
    return {.partial = row.unsigned_number(0, 0),
            .full = row.unsigned_number(0, 1),
            .bad = row.unsigned_number(0, 2),
            .full_bytes = row.unsigned_number(0, 3),
            .tags = row.unsigned_number(0, 4),
            .users = row.unsigned_number(0, 5)};
}

std::string PostgresMetadata::check() {
    Connection connection(url_, std::chrono::seconds(0));  // it reads all rows, which may take long
    std::string wrong;
    if (connection.execute("SELECT 1 FROM chunks WHERE NOT EXISTS (SELECT 1 FROM upload_chunks WHERE chunk = id) LIMIT 1").count() > 0)
        wrong += "a chunk is in no upload\n";
    // Its chunks would be removed.
    if (connection.execute("SELECT 1 FROM uploads WHERE NOT EXISTS (SELECT 1 FROM upload_chunks WHERE upload = number) LIMIT 1").count() >
        0)
        wrong += "an upload has no chunks\n";
    return wrong;
}

}  // namespace registry::server
