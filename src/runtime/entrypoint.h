#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gvmi/image.h"
#include "runtime/processes.h"

namespace runtime {

// The image's Entrypoint followed by Cmd, argv[0] its base name (docs/spec/exe-unit.md, start arguments). Throws base::Error where both are
// empty.
ProcessSpec entrypoint_spec(const gvmi::Config& config);

// The start output that tells the supervisor about the entrypoint: JSON text.
std::string entrypoint_output(uint64_t pid, const std::vector<std::string>& command);

}  // namespace runtime
