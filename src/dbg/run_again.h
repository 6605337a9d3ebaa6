#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>

#include "dbg/synced_folders.h"

namespace dbg {

// The command of --run: how it is run, and how it is sent a signal while it runs.
struct RepeatedCommand {
    std::function<boost::asio::awaitable<int>()> run;  // returns the exit code
    std::function<void(int signal)> signal;
    std::function<void(int code, double seconds)> ended;  // it ended by itself
    std::function<bool()> stopped;                        // the user wants no further run
};

// Runs it, and again after each change; one that still runs then is ended first: SIGTERM, and SIGKILL after two seconds. Returns the exit
// code of the last run when `stopped` says so after one, and throws what the sync and the run throw.
boost::asio::awaitable<int> run_again(boost::asio::any_io_executor executor, SyncedFolders& folders, RepeatedCommand command);

}  // namespace dbg
