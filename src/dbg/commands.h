#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "dbg/session.h"

namespace dbg {

// Commands that run as a requestor's do: each is a RUN of the supervisor's protocol, and its output becomes ours.
class Commands {
public:
    explicit Commands(Session& session);

    // Runs a line in the options' mode and returns its exit code. Where the image lacks the shell it runs sh, and where that is missing
    // too, the line is split here. Throws exeunit::ResponseError (no such program…), base::Error for a line that cannot be split.
    boost::asio::awaitable<int> run(std::string line);

    // Runs a process and hands its output over; returns its exit code. Throws exeunit::ResponseError.
    boost::asio::awaitable<int> run_process(exeunit::api::RunProcess process, exeunit::StatusHandler output);
    // For the command that runs, if one does.
    void send(int signal);

    // The keyboard's signals are for the command that runs; false where none does, or the signal is another.
    bool take_signal(int signal);

    const std::string& shell() const { return shell_; }  // empty: lines are split here
    bool mid_line() const { return mid_line_; }          // the output does not end with a line's end

private:
    struct Foreground;
    exeunit::api::RunProcess process_for(const std::string& line) const;
    void take(const exeunit::api::ProcessStatus& status);
    void send_signal();

    Session& session_;
    std::string shell_;
    bool mid_line_ = false;
    bool running_ = false;   // a command was asked for and has not ended
    uint64_t pid_ = 0;       // of that command; 0 until the runtime has sent it
    int unsent_signal_ = 0;  // for that command
};

}  // namespace dbg
