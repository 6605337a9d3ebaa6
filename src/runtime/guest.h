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

// What a VM does unasked. Called from the io_context's thread; must not throw.
struct GuestEvents {
    std::function<void(const agent::Output&)> output;
    std::function<void(const agent::Exited&)> exited;
    std::function<void(std::string_view text)> console;   // what the guest's console says, as plain text
    std::function<void(const std::string& reason)> died;  // once, unless `end` was called before; all that it had sent has been delivered
};

// The VM was ended by `end` while something was asked of it.
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
    // Lets a process write `bytes` more to a stream.
    virtual void grant(uint64_t process, agent::Stream stream, uint32_t bytes) = 0;
};

// A VM and the channel to the agent in it: QEMU's end and the channel's are one event here, with the better of two reasons. What the
// guest logs, and the console's last lines when the VM dies, go to our log.
class Guest : public GuestChannel {
public:
    // Starts QEMU; call it from the main thread. The VM boots, or goes on from a template (vm/qemu.h). Throws base::Error.
    Guest(const boost::asio::any_io_executor& executor, vm::Machine machine, GuestEvents events, const vm::TemplateFile* origin = nullptr);
    ~Guest() override;  // kills the VM
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    // Waits for the agent of a VM that boots; once, before any request. Throws base::Error with the reason where the VM died or is not
    // ready in time; it is killed then.
    boost::asio::awaitable<agent::Ready> ready(std::chrono::steady_clock::duration limit);

    boost::asio::awaitable<agent::Reply> request(agent::Request request) override;
    // The same; the VM is killed where it has not answered in time.
    boost::asio::awaitable<agent::Reply> request(agent::Request request, std::chrono::steady_clock::duration limit);

    void grant(uint64_t process, agent::Stream stream, uint32_t bytes) override;

    // As vm::Qemu::restored.
    bool restored() const;

    // Ends the VM and returns what it was. Throws base::Error.
    boost::asio::awaitable<vm::SavedVm> save();

    // Kills the VM and waits for its end.
    boost::asio::awaitable<void> end();

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace runtime
