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

// A running VM: a QEMU process that is our direct child, confined (seccomp with spawn=deny, no-new-privileges, empty environment, Landlock
// where the kernel has it) and dead as soon as we are, however we die. What a disk refuses to write or read is logged.
class Qemu {
public:
    // Starts QEMU and its guest. The guest boots, or resumes from where the VM of a template was saved. Call it from the main
    // thread. Throws base::Error when QEMU is missing or cannot be started, or the template is damaged; what QEMU itself finds wrong shows
    // as its exit reason.
    static std::unique_ptr<Qemu> start(const boost::asio::any_io_executor& executor, Machine machine, const TemplateFile* origin = nullptr);
    ~Qemu();  // kills and reaps; `ended` completes
    Qemu(const Qemu&) = delete;
    Qemu& operator=(const Qemu&) = delete;

    // Takes what the guest's console says from now on, as plain text (console_tail.h); called from the executor's thread, must not throw.
    void watch_console(std::function<void(std::string_view text)> sink);

    // Our end of the agent channel; once.
    base::UniqueFd take_agent_channel();

    pid_t pid() const;

    // Of a VM from a template: whether it has gone on from there. What happens to it afterwards is not the template's fault.
    bool restored() const;

    // Stops the VM for good and returns what it was. Only a VM with placeholders alone can serve as a template for others. Throws QmpError.
    boost::asio::awaitable<SavedVm> save();

    // Completes when the process has ended, with the console drained; may be awaited by one.
    boost::asio::awaitable<ExitReason> ended();

    // SIGKILL; `ended` then completes.
    void kill();

private:
    class State;
    explicit Qemu(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

// The program that Qemu::start runs. Throws base::Error that says what to do when it is missing.
std::string find_qemu();

// Like find_qemu(), but also checks that it runs. Throws base::Error also when it is older than 7.2.
std::string check_qemu();

}  // namespace vm
