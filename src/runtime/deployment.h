#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gvmi/image.h"
#include "runtime/options.h"
#include "runtime/volumes/volume_plan.h"

namespace runtime {

// What `deploy` decides and `start` needs, since `start` gets neither the volumes nor the hostname. Stored in W/deployment.json.
struct Deployment {
    std::vector<std::filesystem::path> images;  // absolute, the topmost layer first
    std::string hostname;
    VolumePlan volumes;
};

// Checks the images and makes what the VM needs in the workdir, which is made if it is missing. An earlier deployment there is removed once
// the images have proved good. Throws base::Error, whose text a requestor reads; nothing is left half made then.
Deployment deploy(const Options& options);

// The answer that the supervisor expects on standard output (docs/spec/exe-unit.md, deploy).
std::string deploy_answer(const Deployment& deployment);

// Throws base::Error where nothing has been deployed.
Deployment load_deployment(const std::filesystem::path& workdir);

// The configuration of the topmost image. Throws base::Error.
gvmi::Config read_config(const Deployment& deployment);

}  // namespace runtime
