#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/client.h"
#include "base/error.h"
#include "vm/machine.h"
#include "vm/template_file.h"

namespace runtime {

// Unsolicited events of a VM. Called from the io_context's thread; must not throw.
struct GuestEvents {
    std::function<void(const agent::Output&)> output;
    std::function<void(const agent::Exited&)> exited;
    std::function<void(uint64_t process, uint32_t bytes)> input_taken;
    std::function<void(bool any)> living;                // see agent::Events
    std::function<void(std::string_view text)> console;  // what the guest's console prints, as plain text
    std::function<void(const std::string& reason)>
        died;  // once, unless `end` was called first; everything that the VM had sent has been delivered
};

// `end` ended the VM during a request.
class EndedError : public base::Error {
public:
    EndedError() : base::Error("the VM was shut down") {}
};

// Requests to the agent of a VM.
class GuestChannel {
public:
    virtual ~GuestChannel() = default;

    // Throws agent::GuestError (the guest's answer), EndedError, base::Error where the VM died.
    virtual boost::asio::awaitable<agent::Reply> request(agent::Request request) = 0;
    // Allows a process to write `bytes` more to a stream.
    virtual void grant(uint64_t process, agent::Stream stream, uint32_t bytes) = 0;
    // See agent::Client.
    virtual void input(uint64_t process, std::string_view data, bool end) = 0;
    virtual void resize(uint64_t process, const agent::Terminal& terminal) = 0;
};

// A VM and the channel to the agent in it. The ends of QEMU and of the channel are one event here, with the better of two reasons. The
// guest's log lines, and the console's last lines when the VM dies, go to our log.
class Guest : public GuestChannel {
public:
    // Starts QEMU; call it from the main thread. The VM boots, or resumes from a template (vm/qemu.h). Throws base::Error.
    Guest(const boost::asio::any_io_executor& executor, vm::Machine machine, GuestEvents events, const vm::TemplateFile* origin = nullptr);
    ~Guest() override;  // kills the VM
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    // Waits for the agent of a VM that boots; once, before any request. Throws base::Error with the reason where the VM died or is not
    // ready in time; it kills the VM then.
    boost::asio::awaitable<agent::Ready> ready(std::chrono::steady_clock::duration limit);

    boost::asio::awaitable<agent::Reply> request(agent::Request request) override;
    // Like request, but kills the VM where it has not answered in time.
    boost::asio::awaitable<agent::Reply> request(agent::Request request, std::chrono::steady_clock::duration limit);

    void grant(uint64_t process, agent::Stream stream, uint32_t bytes) override;
    void input(uint64_t process, std::string_view data, bool end) override;
    void resize(uint64_t process, const agent::Terminal& terminal) override;

    // See vm::Qemu::restored.
    bool restored() const;

    // Ends the VM and returns its state. Throws base::Error.
    boost::asio::awaitable<vm::SavedVm> save();

    // QEMU's.
    pid_t pid() const;

    // Kills the VM, which then has died of `reason`.
    void kill(const std::string& reason);

    // Kills the VM and waits for its end.
    boost::asio::awaitable<void> end();

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace runtime
