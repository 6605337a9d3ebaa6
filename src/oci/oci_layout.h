#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "oci/files.h"
#include "oci/image.h"

namespace oci {

// An OCI image layout: index.json, and blobs by their digests. An index for several platforms gives the image for `platform`. `wanted` is
// the name (org.opencontainers.image.ref.name), where there are several images. Throws base::Error.
Image open_oci_layout(const std::shared_ptr<const Files>& files, const std::string& wanted, const std::string& platform);

// The digest of an index's only manifest for a platform. Throws base::Error where there is none, or several.
std::string choose_manifest(const nlohmann::json& index, const std::string& platform);

}  // namespace oci
