#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "vm/exit_reason.h"
#include "vm/machine.h"
#include "vm/template_file.h"

namespace vm {

// A running VM: a QEMU process that is our direct child and confined (confinement.h, QEMU's own -sandbox, an empty environment). It dies
// when we die, however that happens. A disk's read and write errors are logged.
class Qemu {
public:
    // Starts QEMU and its guest. The guest boots, or resumes from a template's saved state. Call it from the main thread. Throws
    // ConfinementError (confinement.h), and base::Error when QEMU cannot be started, or the template is damaged; errors that QEMU itself
    // finds show as its exit reason.
    static std::unique_ptr<Qemu> start(const boost::asio::any_io_executor& executor, Machine machine, const TemplateFile* origin = nullptr);
    ~Qemu();  // kills and reaps; `ended` completes
    Qemu(const Qemu&) = delete;
    Qemu& operator=(const Qemu&) = delete;

    // Passes on what the guest's console prints from now on, as plain text (console_tail.h). Called from the executor's thread; must not
    // throw.
    void watch_console(std::function<void(std::string_view text)> sink);

    // Our end of the agent channel; may be taken once.
    base::UniqueFd take_agent_channel();

    pid_t pid() const;

    // For a VM from a template: whether it has resumed. A later failure is not the template's fault.
    bool restored() const;

    // Stops the VM for good and returns its state. Only a VM that has nothing but placeholders can serve as a template. Throws QmpError.
    boost::asio::awaitable<SavedVm> save();

    // Completes when the process has ended and its console is drained; only one coroutine may await it.
    boost::asio::awaitable<ExitReason> ended();

    // SIGKILL; `ended` then completes.
    void kill();

private:
    class State;
    explicit Qemu(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace vm
