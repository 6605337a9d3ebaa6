#pragma once

#include <filesystem>
#include <string>

#include "oci/image.h"

namespace oci {

// Builds the Dockerfile of a folder and opens the image. `builder` is docker, podman or buildah; empty: the first of them that is there (of
// docker, whose engine answers). `name` is the image's, and may be empty. What the builder says goes to stderr. Throws base::Error.
Image build_dockerfile(const std::filesystem::path& folder, const std::string& name, const std::string& builder,
                       const OpenOptions& options);

}  // namespace oci
