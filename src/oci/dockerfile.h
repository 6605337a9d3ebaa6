#pragma once

#include <filesystem>
#include <string>

#include "oci/image.h"

namespace oci {

// Builds the Dockerfile of a folder and opens the image. `builder` is docker, podman or buildah; empty: the first one installed (docker
// only if its engine answers). `name` is the image's, and may be empty. The builder's output goes to stderr. Throws base::Error.
Image build_dockerfile(const std::filesystem::path& folder, const std::string& name, const std::string& builder,
                       const OpenOptions& options);

}  // namespace oci
