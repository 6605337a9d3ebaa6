#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "registry/server/metadata.h"

namespace registry::server {

// Opens or makes a registry's metadata: in the PostgreSQL data base `db` (postgres://…), or, where that is empty, in SQLite in the folder
// `data`. Throws base::Error.
std::unique_ptr<Metadata> open_metadata(const std::filesystem::path& data, const std::string& db);

}  // namespace registry::server
