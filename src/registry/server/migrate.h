#pragma once

#include <cstdint>
#include <string>

#include "registry/server/storage.h"

namespace registry::server {

// Where all of a registry is.
struct Location {
    StoreOptions store;
    std::string db;  // postgres://…; empty: SQLite in the folder
};

struct Migrated {
    uint64_t copied = 0, bytes = 0;  // chunks, and theirs
    uint64_t there = 0;              // chunks that an earlier attempt has copied
    uint64_t rows = 0;
};

// Copies a registry to another place and compares: every chunk is read there and hashed, and every row is there as it is here. What both
// places share is left alone. The source is only read, and may serve; where it has changed meanwhile, this throws. After a break it goes on
// where it was: chunks appear only as a whole, and the rows all at once. Throws base::Error, also where other rows are there already.
Migrated migrate(const Location& from, const Location& to);

}  // namespace registry::server
