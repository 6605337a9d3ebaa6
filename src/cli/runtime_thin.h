// What ya-runtime-vm's command line says of thin images (docs/spec/cli.md).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "runtime/options.h"

namespace cli {

// The options as parsed, before they become settings.
struct ThinLine {
    std::string use = "on";
    std::string fetch = "all";
    double rate_mib = 0;
    double cache_gib = 20;
};
void add_thin_options(CLI::App& app, runtime::Options& options, ThinLine& line);
void finish_thin_options(const ThinLine& line, runtime::Options& options);

// `ya-runtime-vm cache ls|prune|verify`: prints what the blocks of thin images take; removes those that no running VM uses; reads all and
// removes damaged ones. Returns the exit code. Throws base::Error.
int run_cache_command(const runtime::Options& options, const std::vector<std::string>& arguments);

}  // namespace cli
