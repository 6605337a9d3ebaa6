// Folder cli: one main per program, and what the mains share.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace cli {

// Parses the command line and runs `body`. Returns the exit code: 0 after --help and --version, 2 for wrong usage (CLI::ParseError, also
// from `body`), 1 after another exception, whose text goes to stderr as "error: …", else what `body` returns.
int run(CLI::App& app, int argc, char** argv, const std::function<int()>& body);

// What the chosen sub-command does; the exit code.
using Action = std::function<int()>;

// Adds --version and the line with an example under --help.
void describe(CLI::App& app, const char* example);

}  // namespace cli
