#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "oci/image.h"

namespace convert {

// Changes to an image's configuration from the command line.
struct Changes {
    std::vector<std::string> env = {};           // "K=V", replaces the image's K
    std::vector<std::string> volumes = {};       // added
    std::optional<std::string> entrypoint = {};  // one program without arguments; drops the image's Cmd, which held its arguments
    std::optional<std::string> user = {};
};

// The container configuration for the trailer (docs/spec/gvmi.md): the image's configuration with its id and the changes, lists where lists
// belong and nothing null. Throws base::Error where a reader would refuse it.
nlohmann::json container_config(const oci::Image& image, const Changes& changes);

}  // namespace convert
