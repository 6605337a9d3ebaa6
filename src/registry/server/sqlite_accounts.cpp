#include "base/hex.h"
#include "registry/server/sqlite_metadata.h"

// Tokens, sessions, and what is blocked.
namespace registry::server {

bool SqliteMetadata::add_token(const std::string& user, const std::string& hash, const std::string& note, Time now) {
    return locked([&] {
        return change(db_, "INSERT INTO tokens (user, hash, note, created) SELECT name, ?, ?, ? FROM users WHERE name = ?", hash, note, now,
                      user) > 0;
    });
}

std::vector<Token> SqliteMetadata::tokens(const std::string& user) {
    return reading([&](SQLite::Database& db) {
        std::vector<Token> all;
        SQLite::Statement rows = query(db, "SELECT id, hash, note, created FROM tokens WHERE user = ? ORDER BY id", user);
        while (rows.executeStep()) {
            all.push_back({.id = rows.getColumn(0).getInt64(),
                           .hash = rows.getColumn(1).getString(),
                           .note = rows.getColumn(2).getString(),
                           .created = rows.getColumn(3).getInt64()});
        }
        return all;
    });
}

bool SqliteMetadata::remove_token(const std::string& user, int64_t id) {
    return locked([&] { return change(db_, "DELETE FROM tokens WHERE user = ? AND id = ?", user, id) > 0; });
}

void SqliteMetadata::add_session(int64_t token, const std::string& hash, Time expires, Time now) {
    locked([&] {
        change(db_, "DELETE FROM sessions WHERE expires <= ?", now);
        change(db_, "INSERT INTO sessions (hash, token, expires) SELECT ?, id, ? FROM tokens WHERE id = ?", hash, expires, token);
    });
}

std::optional<std::string> SqliteMetadata::find_session(const std::string& hash, Time now) {
    return reading([&](SQLite::Database& db) {
        return first_text(
            query(db, "SELECT user FROM sessions JOIN tokens ON tokens.id = token WHERE sessions.hash = ? AND expires > ?", hash, now));
    });
}

void SqliteMetadata::remove_session(const std::string& hash) {
    locked([&] { change(db_, "DELETE FROM sessions WHERE hash = ?", hash); });
}

void SqliteMetadata::block(const std::string& hash, const std::string& reason) {
    const std::string bytes = base::from_hex(hash, hash.size() / 2);
    locked([&] {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        change(db_, "INSERT INTO blocked (hash, reason) VALUES (?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason", hash, reason);
        SQLite::Statement retire(
            db_,
            "UPDATE composed SET state = 2 WHERE upload IN (SELECT id FROM uploads WHERE id = ?1 OR sha3 = ?1) OR upload "
            "IN (SELECT id FROM uploads WHERE number IN (SELECT upload FROM upload_chunks JOIN chunks ON chunks.id = "
            "chunk WHERE sha256 = ?2))");
        retire.bind(1, hash);
        retire.bind(2, bytes.data(), static_cast<int>(bytes.size()));
        retire.exec();
        transaction.commit();
    });
}

bool SqliteMetadata::unblock(const std::string& hash) {
    return locked([&] { return change(db_, "DELETE FROM blocked WHERE hash = ?", hash) > 0; });
}

std::optional<std::string> SqliteMetadata::find_blocked(const std::vector<std::string>& hashes) {
    return reading([&](SQLite::Database& db) -> std::optional<std::string> {
        // Asked with each request, for up to 1,000 chunks; mostly nothing is blocked.
        if (!SQLite::Statement(db, "SELECT 1 FROM blocked").executeStep()) return std::nullopt;
        SQLite::Statement find(db, "SELECT 1 FROM blocked WHERE hash = ?");
        for (const std::string& hash : hashes) {
            find.bind(1, hash);
            if (find.executeStep()) return hash;
            find.reset();
        }
        return std::nullopt;
    });
}

std::vector<std::pair<std::string, std::string>> SqliteMetadata::blocked() {
    return reading([&](SQLite::Database& db) {
        std::vector<std::pair<std::string, std::string>> all;
        SQLite::Statement rows(db, "SELECT hash, reason FROM blocked ORDER BY hash");
        while (rows.executeStep())
            all.emplace_back(rows.getColumn(0).getString(), rows.getColumn(1).getString());
        return all;
    });
}

}  // namespace registry::server
