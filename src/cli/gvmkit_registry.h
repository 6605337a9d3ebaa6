#pragma once

#include "cli/common.h"

namespace cli {

// The sub-commands of gvmkit-registry. Each sets `action` when it is chosen.
void add_serve(CLI::App& app, Action& action);
void add_user(CLI::App& app, Action& action);
void add_token(CLI::App& app, Action& action);
void add_repo(CLI::App& app, Action& action);
void add_block(CLI::App& app, Action& action);
void add_gc(CLI::App& app, Action& action);
void add_fsck(CLI::App& app, Action& action);

}  // namespace cli
