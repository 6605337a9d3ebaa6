// The sub-commands of ya-runtime-dbg, for running VMs, one file each (dbg_NAME.cpp).
#pragma once

#include "cli/common.h"

namespace cli {

// Each adds its sub-command, which sets `chosen` when the command line names it. `chosen` returns the exit code and may throw.
void add_ps_command(CLI::App& app, Action& chosen);
void add_stop_command(CLI::App& app, Action& chosen);
void add_stats_command(CLI::App& app, Action& chosen);

}  // namespace cli
