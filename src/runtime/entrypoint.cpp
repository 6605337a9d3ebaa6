#include "runtime/entrypoint.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace runtime {

ProcessSpec entrypoint_spec(const gvmi::Config& config) {
    std::vector<std::string> command = config.entrypoint;
    command.insert(command.end(), config.cmd.begin(), config.cmd.end());
    if (command.empty()) throw base::Error("the image has neither an Entrypoint nor a Cmd to run");
    ProcessSpec spec{.bin = command[0], .args = command};
    spec.args[0] = command[0].substr(command[0].rfind('/') + 1);
    return spec;
}

std::string entrypoint_output(uint64_t pid, const std::vector<std::string>& command) {
    return base::to_text({{"start", nullptr}, {"entrypoint", {{"pid", pid}, {"command", command}}}});
}

}  // namespace runtime
