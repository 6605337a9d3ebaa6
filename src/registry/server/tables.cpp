#include "registry/server/tables.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "base/error.h"
#include "base/hex.h"
#include "registry/server/postgres.h"

namespace registry::server {
namespace {

// A column's name in quotes, with something around it.
std::string list(const std::vector<std::string>& columns, const std::function<std::string(const std::string&)>& f) {
    std::vector<std::string> all;
    std::transform(columns.begin(), columns.end(), std::back_inserter(all), f);
    return fmt::format("{}", fmt::join(all, ", "));
}

std::string quoted(const std::string& name) {
    return fmt::format("\"{}\"", name);
}

class SqliteTables : public Tables {
public:
    SqliteTables(const std::filesystem::path& file, bool write) : db_(file.string(), SQLite::OPEN_READWRITE) {
        constexpr int kBusy = 60'000;  // ms
        db_.setBusyTimeout(kBusy);
        db_.exec(write ? "BEGIN IMMEDIATE" : "BEGIN");
    }

    std::vector<Table> tables() override {
        std::vector<Table> all;
        SQLite::Statement names(
            db_, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'composed' ORDER BY name");
        while (names.executeStep()) {
            Table table{.name = names.getColumn(0).getString(), .columns = {}};
            SQLite::Statement columns(db_, "SELECT name, type FROM pragma_table_info(?) ORDER BY name");
            columns.bind(1, table.name);
            while (columns.executeStep()) {
                table.columns.push_back(columns.getColumn(0).getString());
                if (columns.getColumn(1).getString() == "BLOB") bytes_.emplace(table.name, table.columns.back());
            }
            all.push_back(std::move(table));
        }
        return all;  // SQLite looks at references only where it is told to
    }

    void read(const Table& table, const std::function<void(const Row&)>& each) override {
        SQLite::Statement rows(db_, fmt::format("SELECT {} FROM {}", list(table.columns, quoted), quoted(table.name)));
        Row row(table.columns.size());
        while (rows.executeStep()) {
            for (size_t i = 0; i < row.size(); i++) {
                const SQLite::Column cell = rows.getColumn(static_cast<int>(i));
                const auto bytes = [&cell] {
                    return base::to_hex(std::span(static_cast<const std::byte*>(cell.getBlob()), static_cast<size_t>(cell.getBytes())));
                };
                row[i] = cell.isNull() ? std::nullopt : std::optional(cell.isBlob() ? fmt::format("\\x{}", bytes()) : cell.getString());
            }
            each(row);
        }
    }

    void write(const Table& table, const std::vector<Row>& rows) override {
        SQLite::Statement insert(db_, fmt::format("INSERT INTO {} ({}) VALUES ({})", quoted(table.name), list(table.columns, quoted),
                                                  list(table.columns, [](const std::string&) { return "?"; })));
        for (const Row& row : rows) {
            for (size_t i = 0; i < row.size(); i++)
                bind(insert, static_cast<int>(i + 1), row[i], bytes_.contains({table.name, table.columns[i]}));
            insert.exec();
            insert.reset();
            insert.clearBindings();
        }
    }

    void commit() override { db_.exec("COMMIT"); }

private:
    // A number's text becomes a number, as the column wants it.
    static void bind(SQLite::Statement& statement, int index, const std::optional<std::string>& value, bool bytes) {
        if (!value) {
            statement.bind(index);
        } else if (bytes) {
            const std::string raw = base::from_hex(std::string_view(*value).substr(2), value->size() / 2 - 1);
            statement.bind(index, static_cast<const void*>(raw.data()), static_cast<int>(raw.size()));
        } else {
            statement.bind(index, *value);
        }
    }

    SQLite::Database db_;
    std::set<std::pair<std::string, std::string>> bytes_;  // the columns of BLOBs
};

// Names that are other ones in SQLite: PostgreSQL has "user" as a word of its own.
std::string ours(const std::string& column) {
    return column == "user_name" ? "user" : column;
}

std::string theirs(const std::string& column) {
    return column == "user" ? "user_name" : column;
}

class PostgresTables : public Tables {
public:
    PostgresTables(const std::string& url, bool write) : connection_(url, std::chrono::seconds(0)) {
        connection_.execute(write ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    }

    std::vector<Table> tables() override {
        const postgres::Rows columns = connection_.execute(
            "SELECT table_name, column_name, data_type, is_identity FROM information_schema.columns WHERE table_schema = current_schema() "
            "AND table_name NOT IN ('gvmkit_registry', 'receiving', 'pushes', 'composed') AND column_name NOT IN ('claimed_by', "
            "'claimed_until', "
            "'woken') ORDER BY table_name, column_name");
        std::map<std::string, Table> all;
        for (int row = 0; row < columns.count(); row++) {
            Table& table = all[columns.text(row, 0)];
            table.name = columns.text(row, 0);
            table.columns.push_back(ours(columns.text(row, 1)));
            if (columns.text(row, 2) == "boolean") booleans_.emplace(table.name, table.columns.back());
            if (columns.text(row, 3) == "YES") counted_.emplace(table.name, table.columns.back());
        }
        for (auto& [name, table] : all)
            std::sort(table.columns.begin(), table.columns.end());
        return in_order(std::move(all));
    }

    void read(const Table& table, const std::function<void(const Row&)>& each) override {
        const auto column = [&](const std::string& name) {
            const std::string plain = quoted(theirs(name));
            return booleans_.contains({table.name, name}) ? plain + "::INTEGER" : plain;
        };
        const std::string declare =
            fmt::format("DECLARE moved NO SCROLL CURSOR FOR SELECT {} FROM {}", list(table.columns, column), quoted(table.name));
        connection_.execute(declare.c_str());
        Row row(table.columns.size());
        while (true) {
            const postgres::Rows some = connection_.execute("FETCH 1000 FROM moved");
            if (some.count() == 0) break;
            for (int i = 0; i < some.count(); i++) {
                for (int cell = 0; cell < static_cast<int>(row.size()); cell++)
                    row[static_cast<size_t>(cell)] = some.is_null(i, cell) ? std::nullopt : std::optional(some.text(i, cell));
                each(row);
            }
        }
        connection_.execute("CLOSE moved");
    }

    void write(const Table& table, const std::vector<Row>& rows) override {
        std::vector<std::string> values;
        std::vector<postgres::Value> cells;
        for (const Row& row : rows) {
            std::vector<std::string> places;
            for (const auto& cell : row) {
                cells.push_back(cell);
                places.push_back(fmt::format("${}", cells.size()));
            }
            values.push_back(fmt::format("({})", fmt::join(places, ", ")));
        }
        const auto column = [](const std::string& name) { return quoted(theirs(name)); };
        const std::string insert = fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES {}", quoted(table.name),
                                               list(table.columns, column), fmt::join(values, ", "));
        connection_.run(insert.c_str(), cells);
    }

    // What is counted goes on behind the rows.
    void commit() override {
        for (const auto& [table, column] : counted_) {
            const std::string set =
                fmt::format("SELECT setval(pg_get_serial_sequence('{0}', '{1}'), MAX({2})) FROM {0} HAVING COUNT(*) > 0", quoted(table),
                            column, quoted(column));
            connection_.execute(set.c_str());
        }
        connection_.execute("COMMIT");
    }

private:
    std::vector<Table> in_order(std::map<std::string, Table> all) {
        const postgres::Rows references = connection_.execute(
            "SELECT a.relname, b.relname FROM pg_constraint JOIN pg_class a ON a.oid = conrelid JOIN pg_class b ON b.oid = confrelid "
            "WHERE contype = 'f' AND a.oid <> b.oid AND connamespace = current_schema()::TEXT::regnamespace");
        std::multimap<std::string, std::string> needs;
        for (int row = 0; row < references.count(); row++)
            needs.emplace(references.text(row, 0), references.text(row, 1));
        std::vector<Table> sorted;
        while (!all.empty()) {
            const auto ready = std::find_if(all.begin(), all.end(), [&](const auto& entry) {
                const auto [first, end] = needs.equal_range(entry.first);
                return std::none_of(first, end, [&](const auto& need) { return all.contains(need.second); });
            });
            if (ready == all.end()) throw base::Error("the registry's data base: its tables refer to each other in a circle");
            sorted.push_back(std::move(ready->second));
            all.erase(ready);
        }
        return sorted;
    }

    postgres::Connection connection_;
    std::set<std::pair<std::string, std::string>> booleans_, counted_;  // columns, by our names
};

}  // namespace

std::unique_ptr<Tables> open_tables(const std::filesystem::path& data, const std::string& db, bool write) {
    if (!db.empty()) return std::make_unique<PostgresTables>(db, write);
    return std::make_unique<SqliteTables>(data / "registry.sqlite", write);
}

}  // namespace registry::server
