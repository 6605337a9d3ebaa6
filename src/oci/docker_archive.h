#pragma once

#include <memory>
#include <string>

#include "oci/files.h"
#include "oci/image.h"

namespace oci {

// What `docker save` makes: manifest.json, a configuration and layers. `wanted` is a repository and tag, where several images are in it.
// Throws base::Error.
Image open_docker_archive(const std::shared_ptr<const Files>& files, const std::string& wanted, const std::string& platform);

}  // namespace oci
