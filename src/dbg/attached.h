#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dbg/raw_terminal.h"
#include "dbg/standard_input.h"
#include "dbg/standard_output.h"
#include "debug/client.h"

namespace dbg {

// A program in a VM whose standard streams are ours, through the debug channel. Memory is bounded: the program waits for our reader, and
// our writer for the program.
class Attached {
public:
    Attached(boost::asio::io_context& io, std::filesystem::path socket) : io_(io), socket_(std::move(socket)) {}
    ~Attached();  // ends a program that still runs
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;

    // Runs the first of `choices` whose program the image has, and returns its exit code. Where the request has a terminal (its size is set
    // here), ours is raw meanwhile. With `input` it reads our standard input; a terminal's program always does. Throws
    // debug::OperationError, SystemError of our standard streams (EPIPE: the reader has gone), base::Error where the VM has ended.
    boost::asio::awaitable<int> run(std::vector<debug::Run> choices);

    // Ctrl-C is the program's and Ctrl-\ kills it; false where none runs, or it has a terminal, whose keys are no signals here.
    bool take_signal(int signal);

    // The terminal is as it was before. Idempotent.
    void restore_terminal() { raw_.reset(); }

private:
    boost::asio::awaitable<void> start(std::vector<debug::Run> choices);
    void pass_signals();

    boost::asio::io_context& io_;
    std::filesystem::path socket_;
    boost::asio::signal_set signals_{io_};
    std::shared_ptr<debug::Process> process_;
    std::shared_ptr<StandardInput> input_;
    std::optional<RawTerminal> raw_;
    bool terminal_ = false;
    std::shared_ptr<char> alive_ = std::make_shared<char>();  // a handler may be called after the object's end
};

// `environment` as a program gets it: "K=V" stays, "K" takes our value, and is left out where we have none. With `terminal` what tells a
// program about our terminal and language comes first.
std::vector<std::string> passed_environment(const std::vector<std::string>& environment, bool terminal);

}  // namespace dbg
