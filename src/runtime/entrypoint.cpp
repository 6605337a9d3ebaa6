#include "runtime/entrypoint.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

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

EntrypointLog::EntrypointLog(uint64_t pid, const std::filesystem::path& folder) : pid_(pid) {
    try {
        file_ = base::open_file(folder / "entrypoint.log", O_WRONLY | O_CREAT | O_TRUNC);
    } catch (const base::Error& e) {
        spdlog::warn("the entrypoint's output is not kept: {}", e.what());
    }
}

void EntrypointLog::write(const std::string& data) {
    if (!file_) return;
    try {
        base::write_all(file_.get(), data.substr(0, kLimit - written_), "entrypoint.log");
        written_ += data.size();
        if (written_ < kLimit) return;
        spdlog::warn("the entrypoint has written more than is kept of its output");
    } catch (const base::Error& e) {
        spdlog::warn("the rest of the entrypoint's output is not kept: {}", e.what());
    }
    file_.reset();
}

}  // namespace runtime
