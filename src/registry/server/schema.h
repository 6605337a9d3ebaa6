#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

namespace registry::server {

// Makes the tables of a new database, or brings those of an older gvmkit-registry up to date, in one transaction: a kill leaves what was
// there. Throws SQLite::Exception, or base::Error where the database is a newer gvmkit-registry's.
void prepare_schema(SQLite::Database& db);

}  // namespace registry::server
