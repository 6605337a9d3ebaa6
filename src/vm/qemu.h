#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/fd.h"
#include "vm/ending.h"
#include "vm/machine.h"

namespace vm {

// A running VM: a QEMU process that is our direct child, confined (seccomp with spawn=deny, no-new-privileges, empty environment, Landlock
// where the kernel has it) and dead as soon as we are, however we die. What a disk refuses to write or read is logged.
class Qemu {
public:
    // Starts QEMU and its guest. Call it from the main thread. Throws base::Error when QEMU is missing or cannot be started; what QEMU
    // itself finds wrong shows as its ending.
    static std::unique_ptr<Qemu> start(const boost::asio::any_io_executor& executor, Machine machine);
    ~Qemu();  // kills and reaps; `ended` completes
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

// The program that Qemu::start runs. Throws base::Error that says what to do when it is missing or older than 7.2.
std::string check_qemu();

}  // namespace vm
