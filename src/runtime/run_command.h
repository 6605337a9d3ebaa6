#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/event.h"
#include "runtime/session.h"

namespace runtime {

// Takes a process's output. It may take its time: the process waits meanwhile.
using OutputSink = std::function<void(agent::Stream stream, const std::string& data)>;

// A VM for one command.
class CommandRun {
public:
    CommandRun(const boost::asio::any_io_executor& executor, OutputSink sink);

    // Starts the VM, runs the command (the image's entrypoint where `argv` is empty) and ends the VM. Returns the exit code, 128 + N for
    // death by signal N. Throws base::Error where the VM or the command cannot be started.
    boost::asio::awaitable<int> run(SandboxPlan plan, std::vector<std::string> argv);

    // Passes a signal to the command, or ends the VM where the command does not run yet. May be called while `run` waits.
    void interrupt(int signal);

private:
    SessionEvents session_events();
    boost::asio::awaitable<void> run_process(std::vector<std::string> argv);
    boost::asio::awaitable<void> pass(int signal);

    boost::asio::any_io_executor executor_;
    OutputSink sink_;
    Session session_;
    uint64_t pid_ = 0;
    bool interrupted_ = false;
    std::optional<int> code_;
    base::Event ended_;  // code_ was set
};

}  // namespace runtime
