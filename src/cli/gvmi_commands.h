// The sub-commands of the program `gvmi`, one file each (gvmi_NAME.cpp).
#pragma once

#include "cli/common.h"

namespace cli {

// Each adds its sub-command, which sets `chosen` when the command line names it. `chosen` returns the exit code and may throw.
void add_inspect_command(CLI::App& app, Action& chosen);
void add_verify_command(CLI::App& app, Action& chosen);
void add_lint_command(CLI::App& app, Action& chosen);
void add_ls_command(CLI::App& app, Action& chosen);
void add_cat_command(CLI::App& app, Action& chosen);
void add_extract_command(CLI::App& app, Action& chosen);
void add_diff_command(CLI::App& app, Action& chosen);
void add_hash_command(CLI::App& app, Action& chosen);
void add_pull_command(CLI::App& app, Action& chosen);
void add_serve_command(CLI::App& app, Action& chosen);
void add_manifest_command(CLI::App& app, Action& chosen);
void add_thin_command(CLI::App& app, Action& chosen);

}  // namespace cli
