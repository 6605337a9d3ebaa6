#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace registry::server::postgres {

// A statement that PostgreSQL refused.
class SqlError : public base::Error {
public:
    explicit SqlError(const std::string& message) : base::Error(message) {}
};

// A statement's answer. Rows and columns count from 0.
class Rows {
public:
    explicit Rows(PGresult* result) : result_(result, PQclear) {}
    int count() const { return PQntuples(result_.get()); }
    bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
    std::string text(int row, int column) const;
    int64_t number(int row, int column) const;
    uint64_t unsigned_number(int row, int column) const { return static_cast<uint64_t>(number(row, column)); }
    bool is_true(int row, int column) const { return *PQgetvalue(result_.get(), row, column) == 't'; }
    std::string bytes(int row, int column) const;  // of a BYTEA
    uint64_t changed() const;                      // rows that the statement has changed

private:
    std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

// The first column of all rows, and of the first one.
std::vector<std::string> texts(const Rows& rows);
std::optional<std::string> first_text(const Rows& rows);

// A value as PostgreSQL reads it; none is NULL.
using Value = std::optional<std::string>;

// Text. PostgreSQL cannot hold NUL and what is not UTF-8; each such byte becomes U+FFFD, which is in no name.
Value value(const std::string& text);
Value value(int64_t number);
Value value(uint64_t number);  // throws base::Error where it is above INT64_MAX
Value value(bool is_true);
Value value(const std::optional<uint64_t>& number);
Value bytes_value(const std::string& bytes);
// A TEXT[] of hashes, which are hex digits.
Value hashes_value(const std::vector<std::string>& hashes);
inline Value value(const Value& ready) {
    return ready;
}
Value value(const char*) = delete;  // would be a bool

// One connection, for one thread at a time. Its functions throw http::TransientError where the data base cannot be reached, ends the
// connection, is shutting down or leaves a statement without an answer, and SqlError for another error.
class Connection {
public:
    // `patience`: how long a statement may take; zero: as long as it likes.
    Connection(const std::string& url, std::chrono::seconds patience);

    // One statement with values for $1, $2 …
    template <typename... Values>
    Rows query(const char* sql, const Values&... values) {
        return run(sql, {value(values)...});
    }
    // The same with any number of them.
    Rows run(const char* sql, const std::vector<Value>& values);
    // Statements without values; their last one's answer.
    Rows execute(const char* sql) { return run(sql, {}); }

    // Whether the next statement can be sent: false where the data base has ended the connection meanwhile.
    bool usable();

private:
    PGresult* next_result(std::chrono::steady_clock::time_point deadline);
    [[noreturn]] void lost(const std::string& reason);

    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
    std::chrono::seconds patience_;
    bool broken_ = false;
};

// Throws base::Error where `url` is none of a PostgreSQL data base. The message does not contain it: there may be a password in it.
void check_url(const std::string& url);

// Connections that are kept for the next one who needs them. Several threads may use it at once.
class Pool {
public:
    explicit Pool(std::string url) : url_(std::move(url)) {}

    // Calls f with a connection. Throws http::TransientError where none is free for too long.
    template <typename F>
    auto use(F f) {
        const Lease lease(*this);
        return f(*lease.connection);
    }

    // Calls f in a transaction, which an exception rolls back.
    template <typename F>
    auto transact(F f) {
        return use([&f](Connection& connection) {
            Transaction transaction(connection);
            if constexpr (std::is_void_v<decltype(f(connection))>) {
                f(connection);
                transaction.commit();
            } else {
                auto result = f(connection);
                transaction.commit();
                return result;
            }
        });
    }

private:
    struct Lease {
        explicit Lease(Pool& pool_) : pool(pool_), connection(pool_.take()) {}
        ~Lease() { pool.give_back(std::move(connection)); }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        Pool& pool;
        std::unique_ptr<Connection> connection;
    };
    class Transaction {
    public:
        explicit Transaction(Connection& connection) : connection_(connection) { connection_.execute("BEGIN"); }
        ~Transaction();
        Transaction(const Transaction&) = delete;
        Transaction& operator=(const Transaction&) = delete;
        void commit();

    private:
        Connection& connection_;
        bool done_ = false;
    };

    std::unique_ptr<Connection> take();
    void give_back(std::unique_ptr<Connection> connection);

    std::string url_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::unique_ptr<Connection>> idle_;
    unsigned open_ = 0;
};

}  // namespace registry::server::postgres
