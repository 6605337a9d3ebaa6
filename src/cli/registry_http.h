#pragma once

#include "http/client.h"

namespace cli {

// How the programs talk to a registry: each failed try that will be repeated is reported on stderr.
http::Options registry_http();

}  // namespace cli
