#pragma once

#include <string>

#include "cli/push.h"
#include "registry/settings.h"

namespace cli {

// --login, --login-check or --logout: nothing is converted or pushed then.
bool is_account_command(const PushArguments& arguments);
// Returns the exit code. Throws base::Error.
int run_account_command(const PushArguments& arguments);

// The login for a push: REGISTRY_USER and REGISTRY_TOKEN, else the one that was kept, else asked for on the terminal as `user` and kept.
// Throws base::Error where there is none, or the registry refuses it.
registry::Login login_for(const registry::Settings& settings, const std::string& user);

}  // namespace cli
