#pragma once

#include <optional>
#include <string>

#include "oci/image.h"

namespace oci {

// An image of a local Docker or Podman engine, fetched over its socket: $DOCKER_HOST (unix:// only), Docker's, the user's and the system's
// Podman. Returns nothing where none of them has it; `tried` then holds each one's answer. Throws base::Error where one has it and it
// cannot be fetched. The image is kept in an unnamed temporary file.
std::optional<Image> open_engine_image(const std::string& name, const OpenOptions& options, std::string& tried);

}  // namespace oci
