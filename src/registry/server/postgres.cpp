#include "registry/server/postgres.h"

#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "base/hex.h"
#include "base/utf8.h"
#include "http/client.h"

namespace registry::server::postgres {
namespace {

constexpr unsigned kMaxConnections = 24;  // of one server; a PostgreSQL takes 100 of all, unless told otherwise
constexpr std::chrono::seconds kPatience{15};
constexpr std::chrono::seconds kWaitForConnection{5};

// One line.
std::string message_of(const char* text) {
    std::string message = text ? text : "";
    while (!message.empty() && message.back() == '\n')
        message.pop_back();
    std::replace(message.begin(), message.end(), '\n', ' ');
    return message;
}

// SQLSTATEs after which the same statement may work a moment later, on a new connection: connection exceptions, too many connections, a
// cancelled statement, a lock that was not free, a shutdown, a server that only reads (as the old primary after a failover), a deadlock.
bool is_passing(std::string_view state) {
    constexpr std::array kClasses = {std::string_view("08"), std::string_view("53"), std::string_view("57"), std::string_view("40")};
    return state == "55P03" || state == "25006" ||
           std::any_of(kClasses.begin(), kClasses.end(), [state](std::string_view prefix) { return state.starts_with(prefix); });
}

}  // namespace

std::string Rows::text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

int64_t Rows::number(int row, int column) const {
    return std::strtoll(PQgetvalue(result_.get(), row, column), nullptr, 10);
}

std::string Rows::bytes(int row, int column) const {
    const std::string hex = text(row, column);  // \x0123…
    if (!hex.starts_with("\\x")) throw base::Error("the registry's data base: bytes are not as expected");
    return base::from_hex(std::string_view(hex).substr(2), hex.size() / 2 - 1);
}

uint64_t Rows::changed() const {
    return std::strtoull(PQcmdTuples(result_.get()), nullptr, 10);
}

std::vector<std::string> texts(const Rows& rows) {
    std::vector<std::string> all;
    all.reserve(static_cast<size_t>(rows.count()));
    for (int row = 0; row < rows.count(); row++)
        all.push_back(rows.text(row, 0));
    return all;
}

std::optional<std::string> first_text(const Rows& rows) {
    if (rows.count() == 0) return std::nullopt;
    return rows.text(0, 0);
}

Value value(const std::string& text) {
    std::string valid;
    valid.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
        const size_t length = text[i] == 0 ? 0 : base::first_character(std::string_view(text).substr(i)).length;
        valid += length > 0 ? text.substr(i, length) : "\xEF\xBF\xBD";
        i += std::max<size_t>(1, length);
    }
    return valid;
}

Value value(int64_t number) {
    return std::to_string(number);
}

Value value(uint64_t number) {
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) throw base::Error("a number is too large");
    return std::to_string(number);
}

Value value(bool is_true) {
    return is_true ? "t" : "f";
}

Value value(const std::optional<uint64_t>& number) {
    return number ? value(*number) : std::nullopt;
}

Value bytes_value(const std::string& bytes) {
    return "\\x" + base::to_hex(std::as_bytes(std::span(bytes)));
}

Value hashes_value(const std::vector<std::string>& hashes) {
    std::string list;
    for (const std::string& hash : hashes)
        list += (list.empty() ? "" : ",") + hash;
    return "{" + list + "}";
}

Connection::Connection(const std::string& url, std::chrono::seconds patience) : connection_(nullptr, PQfinish), patience_(patience) {
    // What the URL says comes later, and so counts, but for the encoding.
    const char* const keys[] = {
        "connect_timeout", "tcp_user_timeout", "keepalives_idle", "application_name", "dbname", "client_encoding", nullptr};
    const char* const values[] = {"5", "10000", "30", "gvmkit-registry", url.c_str(), "UTF8", nullptr};
    connection_.reset(PQconnectdbParams(keys, values, 1));
    if (!connection_) throw std::bad_alloc();
    if (PQstatus(connection_.get()) != CONNECTION_OK) lost(message_of(PQerrorMessage(connection_.get())));
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
    // A process that stands still in a transaction must not hold up the others for ever.
    execute("SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'");
    if (patience.count() > 0) query("SELECT set_config('statement_timeout', $1, false)", std::to_string(patience.count()) + "s");
}

void Connection::lost(const std::string& reason) {
    broken_ = true;
    throw http::TransientError("the registry's data base does not answer: " + reason);
}

bool Connection::usable() {
    if (broken_ || PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) return false;
    // What comes without a question is a farewell.
    pollfd socket{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
    return ::poll(&socket, 1, 0) == 0;
}

PGresult* Connection::next_result(std::chrono::steady_clock::time_point deadline) {
    while (PQisBusy(connection_.get()) != 0) {
        int wait = -1;
        if (patience_.count() > 0) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            wait = static_cast<int>(std::max<int64_t>(0, left.count()));
        }
        pollfd socket{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
        const int ready = ::poll(&socket, 1, wait);
        if (ready == 0) lost("it has been asked " + std::to_string(patience_.count()) + " s ago");
        if (ready < 0 && errno != EINTR) base::throw_errno("cannot wait for the data base");
        if (PQconsumeInput(connection_.get()) == 0) lost(message_of(PQerrorMessage(connection_.get())));
    }
    return PQgetResult(connection_.get());
}

Rows Connection::run(const char* sql, const std::vector<Value>& values) {
    if (broken_) lost("the connection has ended");
    std::vector<const char*> texts;
    texts.reserve(values.size());
    for (const Value& one : values)
        texts.push_back(one ? one->c_str() : nullptr);
    const int sent = values.empty() ? PQsendQuery(connection_.get(), sql)
                                    : PQsendQueryParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr, texts.data(),
                                                        nullptr, nullptr, 0);
    if (sent == 0) lost(message_of(PQerrorMessage(connection_.get())));
    const auto deadline = std::chrono::steady_clock::now() + patience_ + std::chrono::seconds(2);  // after the server's own
    std::optional<Rows> last;
    std::string wrong, state;
    while (PGresult* result = next_result(deadline)) {
        last.emplace(result);
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) continue;
        const char* code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        wrong = message_of(PQresultErrorMessage(result));
        state = code ? code : "08000";
    }
    if (PQstatus(connection_.get()) != CONNECTION_OK) lost(wrong.empty() ? message_of(PQerrorMessage(connection_.get())) : wrong);
    if (!wrong.empty() && is_passing(state)) lost(wrong);
    if (!wrong.empty()) throw SqlError("the registry's data base: " + wrong);
    return *std::move(last);
}

void check_url(const std::string& url) {
    char* reason = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(PQconninfoParse(url.c_str(), &reason), PQconninfoFree);
    PQfreemem(reason);
    if (!parsed || !(url.starts_with("postgres://") || url.starts_with("postgresql://")))
        throw base::Error("bad URL of a data base: it is not as postgres://USER@HOST/NAME");
}

Pool::Transaction::~Transaction() {
    if (done_) return;
    try {
        connection_.execute("ROLLBACK");
    } catch (const base::Error&) {
        // The connection has ended, and with it the transaction.
    }
}

void Pool::Transaction::commit() {
    done_ = true;
    connection_.execute("COMMIT");
}

std::unique_ptr<Connection> Pool::take() {
    std::unique_lock lock(mutex_);
    const auto is_free = [this] { return !idle_.empty() || open_ < kMaxConnections; };
    if (!changed_.wait_for(lock, kWaitForConnection, is_free))
        throw http::TransientError("the registry's data base is busy: none of its " + std::to_string(kMaxConnections) +
                                   " connections is free");
    while (!idle_.empty()) {
        std::unique_ptr<Connection> connection = std::move(idle_.back());
        idle_.pop_back();
        if (connection->usable()) return connection;
        open_--;
    }
    open_++;
    lock.unlock();
    try {
        return std::make_unique<Connection>(url_, kPatience);
    } catch (...) {
        give_back(nullptr);
        throw;
    }
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
    {
        const std::lock_guard lock(mutex_);
        if (connection && connection->usable()) {
            idle_.push_back(std::move(connection));
        } else {
            open_--;
        }
    }
    changed_.notify_one();
}

}  // namespace registry::server::postgres
