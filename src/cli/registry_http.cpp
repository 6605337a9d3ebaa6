#include "cli/registry_http.h"

#include <unistd.h>

#include <cstdio>

namespace cli {

http::Options registry_http() {
    http::Options options;
    options.retrying = [](const std::string& reason) {
        // A progress line may be on the terminal.
        const char* clear = ::isatty(STDERR_FILENO) == 1 ? "\r\x1b[K" : "";
        (void)std::fprintf(stderr, "%s%s; trying again\n", clear, reason.c_str());
    };
    return options;
}

}  // namespace cli
