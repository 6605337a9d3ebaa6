#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "oci/image.h"

namespace convert {

// Changes to an image's configuration from the command line.
struct Changes {
    std::vector<std::string> env = {};                        // "K=V", replaces the image's K
    std::vector<std::string> volumes = {};                    // added
    std::optional<std::vector<std::string>> entrypoint = {};  // drops the image's Cmd, which held its arguments
    std::optional<std::vector<std::string>> cmd = {};
    std::optional<std::string> user = {};
    std::optional<std::string> working_dir = {};
};

// The container configuration for the trailer (docs/spec/gvmi.md): the image's configuration with its id and the changes. It is normalised
// as Docker does it when it reads and runs an image: a null is absent or empty, a text is a list of one where a list belongs, and a
// volume's path is cleaned below "/". What changes how the VM looks gets a line in `notes`. Throws base::Error where Docker would refuse
// the configuration, or a reader of .gvmi files the result.
nlohmann::json container_config(const oci::Image& image, const Changes& changes, std::vector<std::string>& notes);

}  // namespace convert
