#pragma once

#include <optional>
#include <string>

#include "oci/image.h"

namespace oci {

// An image that a local Docker or Podman engine has, fetched over its socket: $DOCKER_HOST (unix:// only), Docker's, the user's and the
// system's Podman. Nothing where none of them has it; `tried` then says what each one said. Throws base::Error where one has it and it
// cannot be fetched. It is kept in an unnamed temporary file.
std::optional<Image> open_engine_image(const std::string& name, const OpenOptions& options, std::string& tried);

}  // namespace oci
