#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace registry::server {

inline int64_t number(uint64_t value) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) throw base::Error("a number is too large");
    return static_cast<int64_t>(value);
}

inline uint64_t unsigned_at(SQLite::Statement& row, int column) {
    return static_cast<uint64_t>(row.getColumn(column).getInt64());
}

// A prepared statement with its values bound in order.
template <typename... Values>
SQLite::Statement query(SQLite::Database& db, const char* sql, const Values&... values) {
    SQLite::Statement statement(db, sql);
    int index = 0;
    (statement.bind(++index, values), ...);
    return statement;
}

template <typename... Values>
uint64_t change(SQLite::Database& db, const char* sql, const Values&... values) {
    return static_cast<uint64_t>(query(db, sql, values...).exec());
}

inline std::vector<std::string> texts(SQLite::Statement rows) {
    std::vector<std::string> all;
    while (rows.executeStep())
        all.push_back(rows.getColumn(0).getString());
    return all;
}

inline std::optional<std::string> first_text(SQLite::Statement rows) {
    if (!rows.executeStep()) return std::nullopt;
    return rows.getColumn(0).getString();
}

// Calls f, one thread at a time. An error of the data base becomes a base::Error.
template <typename F>
auto with_database(std::mutex& mutex, F f) {
    const std::lock_guard lock(mutex);
    try {
        return f();
    } catch (const SQLite::Exception& e) {
        throw base::Error(std::string("the registry's data base: ") + e.what());
    }
}

}  // namespace registry::server
