#pragma once

#include <optional>

#include "init/memory.h"
#include "init/port.h"
#include "init/processes.h"
#include "init/setup.h"
#include "init/shutdown.h"

namespace init {

// Serves the host: one loop that waits for everything at once; nothing in it blocks.
class AgentLoop {
public:
    AgentLoop();
    [[noreturn]] void run();

private:
    void handle(uint64_t token, uint32_t events);
    void take(const agent::Request& request);
    void take_setup(uint64_t id, const agent::Setup& setup);
    void take_exec(uint64_t id, const agent::Exec& exec);
    Status personalize(const agent::Exec& exec, Program& program) const;
    void start_builtin(uint64_t id, const agent::Exec& exec);
    void children_ended();
    void shut_down(uint64_t id, unsigned grace_ms);
    void watch(int fd, uint64_t token, uint32_t events);

    base::UniqueFd epoll_;
    base::UniqueFd signals_;
    Port port_;
    Memory memory_;
    Processes processes_;
    std::optional<ProcessDefaults> defaults_;  // since Setup, as the two below
    base::UniqueFd initramfs_;
    Made made_;
    std::optional<Shutdown> shutdown_;
    uint64_t shutdown_id_ = 0;
};

}  // namespace init
