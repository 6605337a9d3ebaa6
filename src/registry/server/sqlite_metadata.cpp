#include "registry/server/sqlite_metadata.h"

#include <sqlite3.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "registry/server/errors.h"
#include "registry/server/folder_owner.h"
#include "registry/server/schema.h"

namespace registry::server {
namespace {

constexpr int kBusyTimeoutMs = 20'000;  // gc holds the write lock while it removes a few hundred files

// The bytes of the images that a user's tags name, including `id`.
uint64_t used_with(SQLite::Database& db, const std::string& user, const std::string& id) {
    SQLite::Statement sum =
        query(db,
              "SELECT COALESCE(SUM(size), 0) FROM uploads WHERE id = ?1 OR id IN (SELECT upload FROM tags JOIN repositories ON "
              "repositories.id = repository WHERE user = ?2)",
              id, user);
    sum.executeStep();
    return unsigned_at(sum, 0);
}

// Columns: name, quota.
User user_of(SQLite::Database& db, SQLite::Statement& row) {
    User user;
    user.name = row.getColumn(0).getString();
    if (!row.getColumn(1).isNull()) user.quota = unsigned_at(row, 1);
    user.used = used_with(db, user.name, "");
    return user;
}

// Columns: user, repository, tag, upload, SHA3-224, size, uses, when it was set, whether it is private.
TaggedImage tagged_row(SQLite::Statement& row) {
    const auto text = [&row](int column) { return row.getColumn(column).getString(); };
    return {.name = {.user = text(0), .repository = text(1), .tag = text(2)},
            .id = text(3),
            .sha3 = text(4),
            .size = unsigned_at(row, 5),
            .uses = unsigned_at(row, 6),
            .changed = row.getColumn(7).getInt64(),
            .in_private = row.getColumn(8).getInt() != 0};
}

std::vector<TaggedImage> tagged_rows(SQLite::Statement rows) {
    std::vector<TaggedImage> all;
    while (rows.executeStep())
        all.push_back(tagged_row(rows));
    return all;
}

SQLite::Database open_database(const std::filesystem::path& file) {
    try {
        SQLite::Database db{file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs};
        // SQLite opens what it may not write for reading alone, and says so at the first change.
        if (sqlite3_db_readonly(db.getHandle(), "main") == 1) throw base::Error("cannot write " + file.string() + ": it may only be read");
        return db;
    } catch (const SQLite::Exception& e) {
        throw base::Error("cannot open " + file.string() + ": " + e.what());
    }
}

// Where several programs open a new file at once, SQLite does not wait for the others as it does elsewhere.
void keep_write_ahead_log(SQLite::Database& db) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyTimeoutMs);
    for (;;) {
        try {
            db.exec("PRAGMA journal_mode = WAL");
            return;
        } catch (const SQLite::Exception& e) {
            if (e.getErrorCode() != SQLITE_BUSY || std::chrono::steady_clock::now() > deadline) throw;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

}  // namespace

SqliteMetadata::SqliteMetadata(const std::filesystem::path& file) : db_(open_database(file)), reader_(open_database(file)) {
    std::error_code error;
    const bool is_new = std::filesystem::file_size(file, error) == 0 && !error;
    locked([&] {
        keep_write_ahead_log(db_);
        db_.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
        prepare_schema(db_);
        reader_.exec("PRAGMA query_only = ON");
    });
    if (is_new) give_to_owner_of_folder(file);
}

bool SqliteMetadata::add_upload(const std::string& id, const Descriptor& descriptor, Time now, Time expires) {
    const std::string bytes = serialize(descriptor);
    return locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        // The number is the ties' only: it is small, and an id has 64 bytes.
        SQLite::Statement add(db_,
                              "INSERT INTO uploads (id, descriptor, sha3, size, touched, expires, number) VALUES (?, ?, ?, ?, ?, ?, "
                              "(SELECT COALESCE(MAX(number), 0) + 1 FROM uploads)) ON CONFLICT (id) DO NOTHING RETURNING number");
        add.bind(1, id);
        add.bind(2, bytes.data(), static_cast<int>(bytes.size()));
        add.bind(3, descriptor.sha3);
        add.bind(4, number(descriptor.size));
        add.bind(5, now);
        add.bind(6, expires);
        if (!add.executeStep()) return false;
        const int64_t upload = add.getColumn(0).getInt64();
        add.reset();
        SQLite::Statement chunk(db_, "INSERT INTO chunks (sha256) VALUES (?) ON CONFLICT DO NOTHING");
        SQLite::Statement tie(db_, "INSERT OR IGNORE INTO upload_chunks (chunk, upload) SELECT id, ? FROM chunks WHERE sha256 = ?");
        tie.bind(1, upload);
        for (const std::string& sha256 : descriptor.chunks) {
            const std::string hash = from_hex(sha256);
            for (auto [statement, index] : {std::pair{&chunk, 1}, {&tie, 2}}) {
                statement->bindNoCopy(index, hash.data(), static_cast<int>(hash.size()));
                statement->exec();
                statement->reset();
            }
        }
        transaction.commit();
        return true;
    });
}

std::optional<Upload> SqliteMetadata::find_upload(const std::string& id) {
    return reading([&](SQLite::Database& db) -> std::optional<Upload> {
        SQLite::Statement row = query(db, "SELECT descriptor, state, uses, known, stored, expires, hidden FROM uploads WHERE id = ?", id);
        if (!row.executeStep()) return std::nullopt;
        Upload upload;
        upload.id = id;
        const SQLite::Column bytes = row.getColumn(0);
        upload.descriptor = parse_descriptor({static_cast<const std::byte*>(bytes.getBlob()), static_cast<size_t>(bytes.getBytes())});
        upload.state = static_cast<State>(row.getColumn(1).getInt());
        upload.uses = unsigned_at(row, 2);
        upload.known = row.getColumn(3).getInt() != 0;
        upload.stored = unsigned_at(row, 4);
        upload.expires = row.getColumn(5).getInt64();
        upload.hidden = row.getColumn(6).getInt() != 0;
        return upload;
    });
}

void SqliteMetadata::set_state(const std::string& id, State state, Time now) {
    locked([&] { change(db_, "UPDATE uploads SET state = ?, touched = ? WHERE id = ?", static_cast<int>(state), now, id); });
}

void SqliteMetadata::set_known(const std::string& id) {
    locked([&] { change(db_, "UPDATE uploads SET known = 1 WHERE id = ? AND known = 0", id); });
}

void SqliteMetadata::add_stored(const std::string& id, uint64_t bytes) {
    locked([&] { change(db_, "UPDATE uploads SET stored = stored + ? WHERE id = ?", number(bytes), id); });
}

uint64_t SqliteMetadata::anonymous_bytes() {
    return reading([&](SQLite::Database& db) {
        SQLite::Statement sum(db, "SELECT COALESCE(SUM(stored), 0) FROM uploads WHERE known = 0");
        sum.executeStep();
        return unsigned_at(sum, 0);
    });
}

void SqliteMetadata::add_uses(const std::string& id, uint64_t uses) {
    locked([&] { change(db_, "UPDATE uploads SET uses = uses + ? WHERE id = ?", number(uses), id); });
}

std::vector<std::string> SqliteMetadata::uploads(State state) {
    return reading(
        [&](SQLite::Database& db) { return texts(query(db, "SELECT id FROM uploads WHERE state = ?", static_cast<int>(state))); });
}

uint64_t SqliteMetadata::expire(Time before, uint64_t limit) {
    return locked([&] {
        return change(db_,
                      "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE touched <= ? AND NOT EXISTS (SELECT 1 FROM tags WHERE "
                      "upload = uploads.id) AND NOT EXISTS (SELECT 1 FROM mirrored WHERE upload = uploads.id) LIMIT ?)",
                      before, number(limit));
    });
}

void SqliteMetadata::for_unused(const std::vector<std::string>& chunks, const std::function<void(const std::string&)>& remove) {
    locked([&] {
        const SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement find(db_, "SELECT 1 FROM chunks WHERE sha256 = ?");
        for (const std::string& chunk : chunks) {
            const std::string hash = from_hex(chunk);
            find.bind(1, hash.data(), static_cast<int>(hash.size()));
            if (!find.executeStep()) remove(chunk);
            find.reset();
        }
    });
}

unsigned SqliteMetadata::count_push(const std::string& address, unsigned hourly) {
    const std::lock_guard lock(pushes_mutex_);
    if (!pushes_) pushes_.emplace(hourly);
    return pushes_->take(address, RateLimit::Clock::now());
}

std::optional<std::string> SqliteMetadata::find_tag(const Name& name, const std::string& viewer) {
    return reading([&](SQLite::Database& db) {
        return first_text(query(db,
                                "SELECT upload FROM tags JOIN repositories ON repositories.id = repository WHERE user = ? AND "
                                "repositories.name = ? AND tags.name = ? AND (NOT private OR user = ?)",
                                name.user, name.repository, name.tag, viewer));
    });
}

void SqliteMetadata::set_tag(const Name& name, const std::string& id, uint64_t default_quota, Time now, bool only_check, Time expires) {
    locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement user = query(db_, "SELECT quota FROM users WHERE name = ?", name.user);
        if (!user.executeStep()) throw HttpError(http::kForbidden, "there is no such user");
        const uint64_t quota = user.getColumn(0).isNull() ? default_quota : unsigned_at(user, 0);
        user.reset();
        const uint64_t used = used_with(db_, name.user, id);
        refuse_above_quota(name.user, used, quota);
        if (query(db_,
                  "SELECT 1 FROM tags JOIN repositories ON repositories.id = repository WHERE user = ? AND repositories.name = ? AND "
                  "tags.name = ? AND upload <> ? AND immutable",
                  name.user, name.repository, name.tag, id)
                .executeStep())
            refuse_immutable(name);
        // Before the image is there as a whole, so that no stranger who gave it a short time ends the push of a user.
        change(db_, "UPDATE uploads SET expires = CASE ?1 WHEN 0 THEN 0 ELSE MAX(expires, ?1) END WHERE id = ?2 AND expires > 0", expires,
               id);
        // Before the image is there as a whole, so that there is no moment in which everybody has it.
        change(db_, "UPDATE uploads SET pusher = ? WHERE id = ? AND state = 0 AND pusher IS NULL AND known = 0", name.user, id);
        change(db_,
               "UPDATE uploads SET hidden = 1 WHERE id = ?1 AND hidden = 0 AND pusher = ?2 AND EXISTS (SELECT 1 FROM repositories WHERE "
               "user = ?2 AND name = ?3 AND private)",
               id, name.user, name.repository);
        if (only_check) {
            transaction.commit();
            return;
        }
        change(db_, "INSERT OR IGNORE INTO repositories (user, name) VALUES (?, ?)", name.user, name.repository);
        change(
            db_,
            "INSERT INTO tags (repository, name, upload, changed, expires) SELECT id, ?, ?, ?, ? FROM repositories WHERE user = ? AND name "
            "= ? ON CONFLICT DO UPDATE SET upload = excluded.upload, changed = excluded.changed, expires = excluded.expires",
            name.tag, id, now, expires, name.user, name.repository);
        transaction.commit();
    });
}

std::vector<TaggedImage> SqliteMetadata::search(const std::string& text, size_t limit) {
    return reading([&](SQLite::Database& db) {
        // instr, not LIKE, in which % and _ have a meaning.
        return tagged_rows(query(db,
                                 "SELECT user, repositories.name, tags.name, uploads.id, sha3, size, uses, changed, private FROM tags JOIN "
                                 "repositories ON repositories.id = repository JOIN uploads ON uploads.id = upload WHERE "
                                 "instr(lower(user || '/' || repositories.name), lower(?)) > 0 ORDER BY user, repositories.name, changed "
                                 "DESC, tags.name LIMIT ?",
                                 text, number(limit)));
    });
}

std::vector<TaggedImage> SqliteMetadata::tags(const std::string& user, const std::string& repository, const std::string& viewer,
                                              size_t skip, size_t limit) {
    return reading([&](SQLite::Database& db) {
        return tagged_rows(query(db,
                                 "SELECT ?1, ?2, name, uploads.id, sha3, size, uses, changed, (SELECT private FROM repositories WHERE user "
                                 "= ?1 AND name = ?2) FROM (SELECT name, upload, changed FROM tags WHERE repository = (SELECT id FROM "
                                 "repositories WHERE user = ?1 AND name = ?2 AND (NOT private OR user = ?5)) ORDER BY changed DESC, "
                                 "name LIMIT ?3 OFFSET ?4) JOIN uploads ON uploads.id = upload ORDER BY changed DESC, name",
                                 user, repository, number(limit), number(skip), viewer));
    });
}

std::optional<TaggedImage> SqliteMetadata::find_tagged(const Name& name, const std::string& viewer) {
    return reading([&](SQLite::Database& db) -> std::optional<TaggedImage> {
        const std::vector<TaggedImage> found =
            tagged_rows(query(db,
                              "SELECT user, repositories.name, tags.name, uploads.id, sha3, size, uses, changed, private FROM tags JOIN "
                              "repositories ON repositories.id = repository JOIN uploads ON uploads.id = upload WHERE user = ? AND "
                              "repositories.name = ? AND tags.name = ? AND (NOT private OR user = ?)",
                              name.user, name.repository, name.tag, viewer));
        return found.empty() ? std::nullopt : std::optional(found.front());
    });
}

std::vector<ListedRepository> SqliteMetadata::repositories(const std::string& text, const std::string& viewer, const Name& after,
                                                           size_t limit) {
    return reading([&](SQLite::Database& db) {
        // The names are searched in the index that has both of them; the tags are looked at for what is listed alone.
        SQLite::Statement rows = query(
            db,
            "SELECT user, found.name, tags.name, uploads.id, sha3, size, uses, changed, private, (SELECT COUNT(*) FROM (SELECT 1 FROM tags "
            "WHERE repository = found.id LIMIT ?5)) FROM (SELECT id, user, name, private FROM repositories WHERE (user, name) > (?2, ?3) "
            "AND (NOT private OR user = ?6) AND instr(lower(user || '/' || name), lower(?1)) > 0 AND EXISTS (SELECT 1 FROM tags WHERE "
            "repository = repositories.id) "
            "ORDER BY user, name LIMIT ?4) AS found JOIN tags ON repository = found.id AND tags.name = (SELECT name FROM tags WHERE "
            "repository = found.id ORDER BY changed DESC, name LIMIT 1) JOIN uploads ON uploads.id = upload ORDER BY user, found.name",
            text, after.user, after.repository, number(limit), number(ListedRepository::kMostCounted), viewer);
        std::vector<ListedRepository> all;
        while (rows.executeStep())
            all.push_back({.newest = tagged_row(rows), .tags = unsigned_at(rows, 9)});
        return all;
    });
}

void SqliteMetadata::add_user(const std::string& name, std::optional<uint64_t> quota, Time now) {
    locked([&] {
        SQLite::Statement add(db_,
                              "INSERT INTO users (name, quota, created) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET quota = excluded.quota");
        add.bind(1, name);
        if (quota) add.bind(2, number(*quota));
        add.bind(3, now);
        add.exec();
    });
}

bool SqliteMetadata::remove_user(const std::string& name) {
    return locked([&] { return change(db_, "DELETE FROM users WHERE name = ?", name) > 0; });
}

std::vector<User> SqliteMetadata::users() {
    return reading([&](SQLite::Database& db) {
        std::vector<User> all;
        SQLite::Statement rows(db, "SELECT name, quota FROM users ORDER BY name");
        while (rows.executeStep())
            all.push_back(user_of(db, rows));
        return all;
    });
}

std::optional<User> SqliteMetadata::find_user(const std::string& name) {
    return reading([&](SQLite::Database& db) -> std::optional<User> {
        SQLite::Statement row = query(db, "SELECT name, quota FROM users WHERE name = ?", name);
        if (!row.executeStep()) return std::nullopt;
        return user_of(db, row);
    });
}

void SqliteMetadata::ping() {
    reading([](SQLite::Database& db) { (void)db.execAndGet("SELECT COUNT(*) FROM sqlite_schema"); });
}

Totals SqliteMetadata::totals() {
    return reading([&](SQLite::Database& db) {
        SQLite::Statement row(
            db,
            "SELECT COALESCE(SUM(state = 0), 0), COALESCE(SUM(state = 1), 0), COALESCE(SUM(state = 2), 0), COALESCE(SUM(size) "
            "FILTER (WHERE state = 1), 0), (SELECT COUNT(*) FROM tags), (SELECT COUNT(*) FROM users) FROM uploads");
        row.executeStep();
        return Totals{.partial = unsigned_at(row, 0),
                      .full = unsigned_at(row, 1),
                      .bad = unsigned_at(row, 2),
                      .full_bytes = unsigned_at(row, 3),
                      .tags = unsigned_at(row, 4),
                      .users = unsigned_at(row, 5)};
    });
}

std::string SqliteMetadata::check() {
    return locked([&] {
        std::string wrong;
        for (const std::string& line : texts(SQLite::Statement(db_, "PRAGMA integrity_check"))) {
            if (line != "ok") wrong += line + "\n";
        }
        if (SQLite::Statement(db_, "PRAGMA foreign_key_check").executeStep()) wrong += "a row refers to one that is not there\n";
        if (SQLite::Statement(db_, "SELECT 1 FROM chunks WHERE NOT EXISTS (SELECT 1 FROM upload_chunks WHERE chunk = id)").executeStep())
            wrong += "a chunk is in no upload\n";
        // Its chunks would be removed.
        if (SQLite::Statement(db_, "SELECT 1 FROM uploads WHERE NOT EXISTS (SELECT 1 FROM upload_chunks WHERE upload = number)")
                .executeStep())
            wrong += "an upload has no chunks\n";
        return wrong;
    });
}

}  // namespace registry::server
