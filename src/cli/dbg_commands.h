// The sub-commands of ya-runtime-dbg, for running VMs, one file each (dbg_NAME.cpp).
#pragma once

#include "cli/common.h"
#include "dbg/options.h"

namespace cli {

// How a program in a VM is run: --user, --cwd, --env and --tty (dbg_exec.cpp).
void add_program_options(CLI::App& app, dbg::Options& options);

// Each adds its sub-command, which sets `chosen` when the command line names it. `chosen` returns the exit code and may throw.
void add_commit_command(CLI::App& app, Action& chosen);
void add_cp_command(CLI::App& app, Action& chosen);
void add_diff_command(CLI::App& app, Action& chosen);
void add_exec_command(CLI::App& app, Action& chosen);
void add_logs_command(CLI::App& app, Action& chosen);
void add_ps_command(CLI::App& app, Action& chosen);
void add_stop_command(CLI::App& app, Action& chosen);
void add_stats_command(CLI::App& app, Action& chosen);

}  // namespace cli
