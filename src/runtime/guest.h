#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "agent/client.h"
#include "vm/machine.h"

namespace runtime {

// What a VM does unasked. Called from the io_context's thread; must not throw.
struct GuestEvents {
    std::function<void(const agent::Output&)> output;
    std::function<void(const agent::Exited&)> exited;
    std::function<void(const std::string& reason)> died;  // once, unless `end` was called before; all that it had sent has been delivered
};

// A VM and the channel to the agent in it: QEMU's end and the channel's are one event here, with the better of two reasons. What the
// guest logs, and the console's last lines when the VM dies, go to our log.
class Guest {
public:
    // Starts QEMU; call it from the main thread. Throws base::Error.
    Guest(const boost::asio::any_io_executor& executor, vm::Machine machine, GuestEvents events);
    ~Guest();  // kills the VM
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    // Waits for the agent; once, before any request. Throws base::Error with the reason where the VM died or is not ready in time; it is
    // killed then.
    boost::asio::awaitable<void> ready(std::chrono::steady_clock::duration limit);

    // Throws agent::RequestError (the guest's answer), base::Error where the VM died.
    boost::asio::awaitable<void> request(agent::Request request);
    // The same; the VM is killed where it has not answered in time.
    boost::asio::awaitable<void> request(agent::Request request, std::chrono::steady_clock::duration limit);

    void grant(uint64_t process, agent::Stream stream, uint32_t bytes);

    // Kills the VM and waits for its end.
    boost::asio::awaitable<void> end();

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace runtime
