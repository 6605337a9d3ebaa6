#pragma once

#include <filesystem>
#include <string>

namespace cli {

// What surprises in a VM whoever knows an image from Docker, for the start of a session: the linter's findings about that in a line each,
// five at most. Empty where there are none, and for an image that cannot be read, since deploying it says why.
std::string docker_differences(const std::filesystem::path& image);

}  // namespace cli
