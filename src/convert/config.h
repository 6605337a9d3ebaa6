#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "oci/image.h"

namespace convert {

// What the command line changes in an image's configuration.
struct Changes {
    std::vector<std::string> env = {};           // "K=V", replaces the image's K
    std::vector<std::string> volumes = {};       // added
    std::optional<std::string> entrypoint = {};  // one program, without arguments; the image's Cmd, which were its arguments, goes
    std::optional<std::string> user = {};
};

// The container configuration for the trailer (docs/spec/gvmi.md): the image's, with its id, the changes made, lists where lists belong and
// nothing null. Throws base::Error where a reader would refuse it.
nlohmann::json container_config(const oci::Image& image, const Changes& changes);

}  // namespace convert
