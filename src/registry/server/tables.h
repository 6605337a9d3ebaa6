#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace registry::server {

// A row's values, as texts that both kinds of data bases mean the same by: numbers in decimal, true and false as 1 and 0, bytes as \x and
// hex digits; none is NULL.
using Row = std::vector<std::optional<std::string>>;

// A table, and those of its columns that a registry's other data base has, too: not what only the servers that run now need.
struct Table {
    std::string name;
    std::vector<std::string> columns;  // sorted
};

// The rows of a registry's data base, whatever is in them: what `migrate` moves. All that is read is of one moment. For one thread; throws
// as Metadata does.
class Tables {
public:
    virtual ~Tables() = default;
    // Each after those that it refers to.
    virtual std::vector<Table> tables() = 0;
    virtual void read(const Table& table, const std::function<void(const Row&)>& each) = 0;
    // Adds a few rows, whose values are in the order of `table`'s columns.
    virtual void write(const Table& table, const std::vector<Row>& rows) = 0;
    // Makes what was written durable and visible, all at once. Without it nothing is.
    virtual void commit() = 0;
};

// Opens a data base as `open_metadata` does, which has made its tables before; `write`: others wait until it is committed or closed.
std::unique_ptr<Tables> open_tables(const std::filesystem::path& data, const std::string& db, bool write);

}  // namespace registry::server
