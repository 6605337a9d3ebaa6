#pragma once

#include "http/client.h"

namespace cli {

// How the programs deal with a registry: a try that failed and will be repeated is told on stderr.
http::Options registry_http();

}  // namespace cli
