#include "registry/server/migrate.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"
#include "registry/server/folder_lock.h"
#include "registry/server/maintenance.h"
#include "registry/server/open_metadata.h"
#include "registry/server/parallel.h"
#include "registry/server/tables.h"

namespace registry::server {
namespace {

constexpr size_t kCopyBlock = 256 << 10;
constexpr size_t kCopies = 8;      // at a time: a store on another machine answers late, but much at once
constexpr size_t kRowBatch = 500;  // rows that are written at once

using Chunks = std::map<std::string, uint64_t>;  // lengths by SHA-256

Chunks chunks_in(const Storage& storage) {
    Chunks chunks;
    storage.list([&chunks](const std::string& sha256, uint64_t length) { chunks.emplace(sha256, length); });
    return chunks;
}

void copy_chunk(const Storage& from, Storage& to, const std::string& sha256, uint64_t length) {
    const auto reader = from.open(sha256);
    const auto writer = to.begin(sha256, length);
    std::vector<std::byte> block(kCopyBlock);
    uint64_t offset = 0;
    while (const size_t n = reader->read(offset, block)) {
        writer->write(std::span(block).first(n));
        offset += n;
    }
    base::with_context("chunk " + sha256 + " of the source", [&] { writer->commit(); });
}

void check_chunk(const Storage& storage, const std::string& sha256) {
    const std::optional<std::string> problem = chunk_problem(storage, sha256);
    if (problem) throw base::Error("chunk " + sha256 + " at the target: " + *problem + "; remove it there, and begin again");
}

void move_chunks(const Storage& from, Storage& to, Migrated& done) {
    const Chunks wanted = chunks_in(from);
    const Chunks there = chunks_in(to);
    std::vector<std::string> all;
    std::vector<std::string> missing;
    uint64_t bytes = 0;
    for (const auto& [sha256, length] : wanted) {
        all.push_back(sha256);
        if (there.contains(sha256)) continue;
        missing.push_back(sha256);
        bytes += length;
    }
    spdlog::info("{} chunks are to be copied, {} are there", missing.size(), all.size() - missing.size());
    for_each_index(missing.size(), kCopies, [&](size_t i) { copy_chunk(from, to, missing[i], wanted.at(missing[i])); });
    spdlog::info("all chunks are copied; now each is read and hashed");
    for_each_index(all.size(), kCopies, [&](size_t i) { check_chunk(to, all[i]); });
    done.copied = missing.size();
    done.bytes = bytes;
    done.there = all.size() - missing.size();
}

// What all rows of a table amount to, in whichever order they come.
struct Sum {
    uint64_t rows = 0;
    std::string bits = std::string(32, '\0');  // the SHA-256 of the rows, one over the other
    bool operator==(const Sum&) const = default;
};

std::map<std::string, Sum> sums_of(Tables& tables) {
    std::map<std::string, Sum> sums;
    for (const Table& table : tables.tables()) {
        Sum& sum = sums[table.name];
        tables.read(table, [&sum](const Row& row) {
            base::Hasher hasher(base::Hasher::Kind::sha256);
            for (const auto& cell : row) {
                const std::string text = cell ? std::to_string(cell->size()) + ":" + *cell : "-";
                hasher.update(std::as_bytes(std::span(text)));
            }
            const std::string hash = base::from_hex(hasher.hex(), sum.bits.size());
            std::transform(hash.begin(), hash.end(), sum.bits.begin(), sum.bits.begin(),
                           [](char a, char b) { return static_cast<char>(a ^ b); });
            sum.rows++;
        });
    }
    return sums;
}

std::map<std::string, Sum> sums_at(const Location& place) {
    return sums_of(*open_tables(place.store.data, place.db, false));
}

void copy_rows(Tables& from, Tables& to) {
    std::map<std::string, Table> here;
    for (Table& table : from.tables())
        here.emplace(table.name, table);
    const std::vector<Table> there = to.tables();
    for (const Table& table : there) {
        const auto found = here.find(table.name);
        if (here.size() != there.size() || found == here.end() || found->second.columns != table.columns)
            throw base::Error("the two data bases do not have the same tables: " + table.name);
        std::vector<Row> batch;
        const auto write = [&] {
            if (!batch.empty()) to.write(table, batch);
            batch.clear();
        };
        from.read(found->second, [&](const Row& row) {
            batch.push_back(row);
            if (batch.size() == kRowBatch) write();
        });
        write();
    }
    to.commit();
}

void move_rows(const Location& from, const Location& to, Migrated& done) {
    // Both have the newest tables then.
    (void)open_metadata(from.store.data, from.db);
    (void)open_metadata(to.store.data, to.db);
    const std::map<std::string, Sum> before = sums_at(to);
    if (std::any_of(before.begin(), before.end(), [](const auto& entry) { return entry.second.rows > 0; })) {
        if (before != sums_at(from)) throw base::Error("the target's data base has rows already, and others than the source");
    } else {
        const std::unique_ptr<Tables> source = open_tables(from.store.data, from.db, false);
        copy_rows(*source, *open_tables(to.store.data, to.db, true));
    }
    const std::map<std::string, Sum> after = sums_at(to);
    if (after != sums_at(from))
        throw base::Error(
            "the source has changed meanwhile: let it only read (serve --read-only), empty the target's data base, and begin again");
    for (const auto& [name, sum] : after) {
        spdlog::info("{}: {} rows, the same in both", name, sum.rows);
        done.rows += sum.rows;
    }
}

bool same_folder(const Location& a, const Location& b) {
    std::error_code missing;
    return std::filesystem::equivalent(a.store.data, b.store.data, missing);
}

}  // namespace

Migrated migrate(const Location& from, const Location& to) {
    const bool one_folder = same_folder(from, to);
    const bool one_store = from.store.s3.url == to.store.s3.url && from.store.s3.endpoint == to.store.s3.endpoint &&
                           (one_folder || !from.store.s3.url.empty());
    const bool one_db = from.db == to.db && (one_folder || !from.db.empty());
    if (one_store && one_db) throw base::Error("source and target are the same registry");
    const std::unique_ptr<Storage> source = open_storage(from.store);
    const std::unique_ptr<Storage> target = open_storage(to.store);
    base::UniqueFd lock;
    if (!one_folder) lock = lock_folder(to.store.data, !to.db.empty());
    if (!one_folder && to.db.empty()) target->clear_incoming(std::chrono::seconds(0));
    Migrated done;
    // First the chunks: an image is there when its rows are.
    if (!one_store) move_chunks(*source, *target, done);
    if (!one_db) move_rows(from, to, done);
    return done;
}

}  // namespace registry::server
