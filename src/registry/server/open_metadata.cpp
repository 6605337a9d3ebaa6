#include "registry/server/open_metadata.h"

#include "registry/server/postgres_metadata.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {

std::unique_ptr<Metadata> open_metadata(const std::filesystem::path& data, const std::string& db) {
    if (!db.empty()) return std::make_unique<PostgresMetadata>(db);
    return std::make_unique<SqliteMetadata>(data / "registry.sqlite");
}

}  // namespace registry::server
