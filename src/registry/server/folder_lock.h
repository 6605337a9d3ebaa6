#pragma once

#include <filesystem>

#include "base/fd.h"

namespace registry::server {

// Locks a registry's folder until the descriptor is closed: several may have it `shared`, but with SQLite only one server may use it.
// Throws base::Error where another one has it.
base::UniqueFd lock_folder(const std::filesystem::path& data, bool shared);

}  // namespace registry::server
