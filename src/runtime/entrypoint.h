#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "gvmi/image.h"
#include "runtime/processes.h"

namespace runtime {

// The image's Entrypoint followed by Cmd, argv[0] its base name (exe-unit.md, start arguments). Throws base::Error where both are empty.
ProcessSpec entrypoint_spec(const gvmi::Config& config);

// The start output that tells the supervisor of the entrypoint: JSON text.
std::string entrypoint_output(uint64_t pid, const std::vector<std::string>& command);

// The file in W/logs/ that takes the entrypoint's output: the first kLimit bytes of it, since nobody bounds what an image writes.
class EntrypointLog {
public:
    static constexpr uint64_t kLimit = 64 << 20;

    EntrypointLog(uint64_t pid, const std::filesystem::path& folder);
    uint64_t pid() const { return pid_; }
    void write(const std::string& data);

private:
    uint64_t pid_;
    base::UniqueFd file_;
    uint64_t written_ = 0;
};

}  // namespace runtime
