#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/fd.h"
#include "vm/machine.h"

namespace vm {

// How a QEMU process ended: "QEMU was killed by signal 9", "the guest's kernel panicked and stopped the VM", "QEMU: <its last line on
// stderr>".
struct Ending {
    int code = 0;  // exit code, or 128 + signal
    std::string reason;
    std::string last_lines;  // of the guest's console and QEMU's stderr, at most 16 KiB, control characters replaced
};

// A running VM: a QEMU process that is our direct child, confined (seccomp with spawn=deny, no-new-privileges, empty environment, Landlock
// where the kernel has it) and dead as soon as we are, however we die.
class Qemu {
public:
    // Starts QEMU and its guest. Call it from the main thread. Throws base::Error when QEMU is missing or does not start.
    static std::unique_ptr<Qemu> start(boost::asio::any_io_executor executor, Machine machine);
    ~Qemu();  // kills and reaps
    Qemu(const Qemu&) = delete;
    Qemu& operator=(const Qemu&) = delete;

    // Our end of the agent channel; once.
    base::UniqueFd take_agent_channel();

    pid_t pid() const;

    // Completes when the process has ended, with the console drained; may be awaited by one.
    boost::asio::awaitable<Ending> ended();

    // SIGKILL; `ended` then completes.
    void kill();

private:
    class State;
    explicit Qemu(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace vm
