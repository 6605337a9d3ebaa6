#pragma once

#include <memory>
#include <string>

#include "oci/files.h"
#include "oci/image.h"

namespace oci {

// A docker archive, as `docker save` writes it: manifest.json, a configuration and layers. `wanted` is a repository and tag, where it holds
// several images. Throws base::Error.
Image open_docker_archive(const std::shared_ptr<const Files>& files, const std::string& wanted, const std::string& platform);

}  // namespace oci
