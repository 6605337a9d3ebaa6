#pragma once

#include <string>

#include "registry/settings.h"

namespace cli {

// --login, --login-check and --logout: with any of them nothing is converted or pushed.
struct LoginArguments {
    bool login = false;
    bool check = false;
    bool logout = false;
    bool allow_http = false;  // send tokens by plain http beyond this machine, too

    bool any() const { return login || check || logout; }
};

// Does what was asked for and returns the exit code. Throws base::Error.
int run_login(const LoginArguments& arguments);

// The login for a push: REGISTRY_USER and REGISTRY_TOKEN, else the stored one, else one that the user types (and that is stored under
// `user`). Throws base::Error where there is none, or the registry refuses it.
registry::Login login_for(const registry::Settings& settings, const std::string& user, bool allow_http);

}  // namespace cli
