#pragma once

#include <string>

#include "oci/image.h"

namespace oci {

// An image of a registry, fetched by skopeo, which finds credentials as it always does (its own and Docker's login files). Layers are kept
// in a cache that all images share ($XDG_CACHE_HOME/gvmkit/layers, else ~/.cache/gvmkit/layers), by their digests, so that only what is not
// there is fetched. `name` is "[HOST[:PORT]/]NAME[:TAG|@DIGEST]". Throws base::Error.
Image open_registry_image(const std::string& name, const OpenOptions& options);

}  // namespace oci
