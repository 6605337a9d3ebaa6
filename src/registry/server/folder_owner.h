#pragma once

#include <filesystem>

namespace registry::server {

// What root makes in the folder of another user, such as a service's, is that user's. Throws base::SystemError.
void give_to_owner_of_folder(const std::filesystem::path& file);

}  // namespace registry::server
