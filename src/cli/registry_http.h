#pragma once

#include "http/client.h"
#include "registry/api.h"
#include "registry/settings.h"

namespace cli {

// How the programs talk to a registry: each failed try that will be repeated is reported on stderr.
http::Options registry_http();

// The registry's settings in the current folder. Says on stderr where they come from, unless they are the defaults.
registry::Settings registry_settings();

// Who looks up private images of the registry: the login of the settings, else the stored one; nobody where the token would go beyond this
// machine by plain http.
registry::Reader registry_reader(const registry::Settings& settings);

// Throws base::Error where a token would be sent to the registry by plain http beyond this machine, unless that is allowed (--allow-http).
void check_token_is_safe(const registry::Settings& settings, bool allow_http);

}  // namespace cli
