#pragma once

#include <string>

#include "oci/image.h"

namespace oci {

// An image of a registry, fetched by skopeo, which finds credentials in its usual places (its own and Docker's login files). All images
// share one cache of layers by digest ($XDG_CACHE_HOME/gvmkit/layers, else ~/.cache/gvmkit/layers), so only missing ones are fetched.
// `name` is "[HOST[:PORT]/]NAME[:TAG|@DIGEST]". Throws base::Error.
Image open_registry_image(const std::string& name, const OpenOptions& options);

}  // namespace oci
