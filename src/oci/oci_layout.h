#pragma once

#include <memory>
#include <string>

#include "oci/files.h"
#include "oci/image.h"

namespace oci {

// An OCI image layout: index.json, and blobs by their digests. Of an index for several platforms the image for linux/amd64 is taken.
// `wanted` is the name (org.opencontainers.image.ref.name) where several images are in it. Throws base::Error.
Image open_oci_layout(const std::shared_ptr<const Files>& files, const std::string& wanted);

}  // namespace oci
