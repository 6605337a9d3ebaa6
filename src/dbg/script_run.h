#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dbg/exe_script.h"
#include "exeunit/client.h"

namespace dbg {

// What a script does to a VM; each may throw base::Error, which is the command's result then. `options` go before the runtime's
// sub-command, `arguments` behind it.
struct ScriptVm {
    std::function<boost::asio::awaitable<std::string>(std::vector<std::string> options)> deploy;  // returns what it printed
    // Returns the start output (docs/spec/exe-unit.md, start arguments), empty without one.
    std::function<boost::asio::awaitable<std::string>(std::vector<std::string> options, std::vector<std::string> arguments)> start;
    std::function<boost::asio::awaitable<int>(exeunit::api::RunProcess, exeunit::StatusHandler)> run;  // returns the exit code
    std::function<boost::asio::awaitable<void>(exeunit::api::CreateNetwork)> network;
    std::function<boost::asio::awaitable<void>()> shut_down;
};

struct ScriptPlaces {
    std::filesystem::path workdir;  // of the deployment
    uint64_t transfer_limit = 0;    // bytes of one file; 0: none
};

// Runs the commands one after the other and writes each one's result to standard output, one line of JSON each, up to the first that fails.
// A deploy and a start that are not at the script's beginning are done first, without a result. The VM still runs afterwards unless the
// script has ended it. Returns the exit code: 0, that of a RUN that failed, or 1.
boost::asio::awaitable<int> run_script(boost::asio::any_io_executor executor, std::vector<ScriptCommand> script, ScriptVm vm,
                                       ScriptPlaces places);

// Bytes that the disks of a VM with these options may hold: --storage-limit-gib, else --storage-gib and a twentieth; 0: there is no limit.
uint64_t transfer_limit(const std::vector<std::string>& runtime_options);

}  // namespace dbg
