#pragma once

#include "registry/http.h"

namespace cli {

// How the programs deal with a registry: a try that failed and will be repeated is told on stderr.
registry::HttpOptions registry_http();

}  // namespace cli
